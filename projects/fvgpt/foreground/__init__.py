"""FVG-PT: the modules of the paper, and the classifier made of them."""

from .distillation_compensation import ForegroundDistillationCompensation
from .fvgpt import FVGPT, beside_the_tuner
from .prior_calibration import PriorCalibration
from .reliability_gate import BackboneReliabilityGate, ForegroundReliabilityGate, ReliabilityGate
from .signals import Signals

__all__ = [
    'BackboneReliabilityGate',
    'FVGPT',
    'ForegroundDistillationCompensation',
    'ForegroundReliabilityGate',
    'PriorCalibration',
    'ReliabilityGate',
    'Signals',
    'beside_the_tuner',
]
