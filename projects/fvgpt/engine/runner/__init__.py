"""From a recipe to a run: options, data, stages, resuming, the test loop and the schedule."""

from .resume import AtomicWriteBackend
from .subset_loop import SubsetTestLoop
from .warmup_cosine_lr import WarmupCosineLR

__all__ = ['AtomicWriteBackend', 'SubsetTestLoop', 'WarmupCosineLR']
