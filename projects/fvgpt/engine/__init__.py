from .compatibility import SUPPORTED

__all__ = ['SUPPORTED']
