"""Cost of a run: trainable parameters, images per second, peak memory (the paper's Table 7)."""

import platform
import resource
import sys
import time
from pathlib import Path
from typing import Dict, Optional

import torch
from mmengine.dist import get_world_size, master_only
from mmengine.hooks import Hook

from ...io.json_file import read_json, write_json
from ...registry import HOOKS
from ...tuners.classifier import unwrapped

COST_FILE = 'cost.json'
# Iterations that are not counted: caches, worker processes and kernels are set up in them
WARM_UP = 3


@HOOKS.register_module()
class CostHook(Hook):
    """Measure a run, data loading included, and write ``cost.json`` into its work dir.

    Keys of the file:

    - ``trainable_parameters``: their number.
    - ``tuning_images_per_second``, ``inference_images_per_second``: summed over all ranks;
      inference computes every source that the evaluation compares.
    - ``peak_memory_mb``: in 10^6 bytes, allocated on the GPU or, without one, resident in the
      process.
    - ``device``: its name.
    """

    priority = 'LOWEST'

    def __init__(self) -> None:
        self._images: Dict[str, int] = {}
        self._seconds: Dict[str, float] = {}
        self._since: Optional[float] = None

    def _pause(self) -> None:
        self._since = None

    def _count(self, mode: str, batch_idx: int, data_batch: dict) -> None:
        """Count the images of an iteration that has ended, and the time since the last call."""
        if batch_idx < WARM_UP:
            return
        if batch_idx == WARM_UP:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
        elif self._since is not None:
            self._seconds[mode] = self._seconds.get(mode, 0.0) + time.perf_counter() - self._since
            self._images[mode] = self._images.get(mode, 0) + len(data_batch['data_samples'])
        self._since = time.perf_counter()

    def before_train_epoch(self, runner) -> None:
        """Exclude the time between epochs."""
        self._pause()

    def before_test_epoch(self, runner) -> None:
        """Exclude the time before a test."""
        self._pause()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Count the images of a training step."""
        self._count('tuning', batch_idx, data_batch)

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Count the images of a test step."""
        self._count('inference', batch_idx, data_batch)

    def after_train(self, runner) -> None:
        """Write ``cost.json``."""
        self._write(runner)

    def after_test_epoch(self, runner, metrics=None) -> None:
        """Write ``cost.json``."""
        self._write(runner)

    @master_only
    def _write(self, runner) -> None:
        parameters = sum(p.numel() for p in unwrapped(runner.model).parameters() if p.requires_grad)
        rates = {
            f'{mode}_images_per_second': round(get_world_size() * count / self._seconds[mode], 2)
            for mode, count in self._images.items()
            if self._seconds[mode] > 0
        }
        path = Path(runner.work_dir) / COST_FILE
        write_json(
            path,
            dict(
                trainable_parameters=parameters,
                **{**earlier_rates(path), **rates},
                peak_memory_mb=round(peak_memory() / 1e6, 1),
                device=device(),
            ),
        )


def earlier_rates(path: Path) -> Dict[str, float]:
    """Rates of an earlier process of the run, which trained an earlier part or was not a test.

    Args:
        path: of ``cost.json``; empty if it does not exist or is broken.
    """
    try:
        return {
            key: value
            for key, value in read_json(path).items()
            if key.endswith('_images_per_second')
        }
    except (OSError, ValueError, AttributeError):
        return {}


def peak_memory() -> int:
    """Peak memory in bytes: allocated on the GPU or, without one, resident in this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == 'darwin' else 1024  # bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def device() -> str:
    """Name of the GPU or, without one, of the CPU and the number of threads."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f'{platform.machine()} CPU, {torch.get_num_threads()} threads'
