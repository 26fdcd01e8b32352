"""Looking at a trained model: foreground shift, attention, calibration, examples, and a page of it all."""

from .analyze import analyze
from .collect import Column, Observer

__all__ = ['Column', 'Observer', 'analyze']
