"""What runs a recipe: hooks, loops, kept features, protocols, and MMEngine's gaps mended."""
from .compatibility import SUPPORTED

__all__ = ['SUPPORTED']
