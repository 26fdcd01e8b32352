"""FVG-PT: the modules of the paper, and the classifier made of them."""

from .distillation_compensation import ForegroundDistillationCompensation
from .fvgpt import FVGPT
from .prior_calibration import PriorCalibration
from .reliability_gate import BackboneReliabilityGate, ForegroundReliabilityGate, ReliabilityGate

__all__ = [
    'BackboneReliabilityGate',
    'FVGPT',
    'ForegroundDistillationCompensation',
    'ForegroundReliabilityGate',
    'PriorCalibration',
    'ReliabilityGate',
]
