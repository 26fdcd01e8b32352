"""From a recipe to a run: options, data, stages, resuming, the test loop and the schedule."""

from .prompt_tuning_runner import PromptTuningRunner
from .resume import AtomicWriteBackend
from .subset_loop import SubsetTestLoop
from .warmup_cosine_lr import WarmupCosineLR

__all__ = ['AtomicWriteBackend', 'PromptTuningRunner', 'SubsetTestLoop', 'WarmupCosineLR']
