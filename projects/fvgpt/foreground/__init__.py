"""FVG-PT: the modules of the paper, and classifiers made of them."""
from .calibrated_classifier import PriorCalibratedClassifier
from .distillation_compensation import ForegroundDistillationCompensation
from .fvgpt import FVGPT
from .prior_calibration import PriorCalibration
from .reliability_gate import BackboneReliabilityGate, ForegroundReliabilityGate, ReliabilityGate
from .supervised import ForegroundDistillationHead, ForegroundViewPreprocessor

__all__ = ['BackboneReliabilityGate', 'FVGPT', 'ForegroundDistillationCompensation', 'ForegroundDistillationHead',
           'ForegroundReliabilityGate', 'ForegroundViewPreprocessor', 'PriorCalibratedClassifier', 'PriorCalibration',
           'ReliabilityGate']
