"""What runs a recipe: hooks, and the Runner that resolves it."""

from . import hooks, runner

__all__ = ['hooks', 'runner']
