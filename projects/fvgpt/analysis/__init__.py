"""Analysis of a trained model: foreground shift, attention, calibration, examples, a report."""

from .analyze import analyze
from .collect import Column, Observer

__all__ = ['Column', 'Observer', 'analyze']
