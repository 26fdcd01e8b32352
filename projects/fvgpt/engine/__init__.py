"""Running a recipe: hooks of MMEngine, the feature cache, and the Runner that resolves recipes."""

from . import hooks, runner

__all__ = ['hooks', 'runner']
