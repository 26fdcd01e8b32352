"""The loss terms of FVG-PT, one per module of the paper."""

from .foreground_distillation import ForegroundDistillationLoss
from .prior_calibration import PriorCalibrationLoss
from .reliability import ReliabilityLoss
from .tempered_kl import tempered_kl

__all__ = ['ForegroundDistillationLoss', 'PriorCalibrationLoss', 'ReliabilityLoss', 'tempered_kl']
