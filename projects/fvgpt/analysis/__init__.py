from .analyze import analyze
from .collect import Column, Observer

__all__ = ['Column', 'Observer', 'analyze']
