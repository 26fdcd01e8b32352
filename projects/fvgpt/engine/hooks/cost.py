"""What a run costs: trainable parameters, images per second, peak memory (the quantities of the paper's Table 7)."""

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
WARM_UP = (
    3  # iterations that are not counted: caches, worker processes and kernels are set up in them
)


@HOOKS.register_module()
class CostHook(Hook):
    """Measure a run as it is, data loading included, and write ``cost.json`` into its work dir.

    Keys: ``trainable_parameters``; ``tuning_images_per_second`` and ``inference_images_per_second`` (of all processes
    together; inference with every source that the evaluation compares); ``peak_memory_mb`` (10^6 bytes: allocated on the GPU,
    or resident in the process on a CPU); ``device``.
    """

    priority = 'LOWEST'

    def __init__(self) -> None:
        self._images: Dict[str, int] = {}
        self._seconds: Dict[str, float] = {}
        self._since: Optional[float] = None

    def _pause(self) -> None:
        self._since = None

    def _count(self, mode: str, batch_idx: int, data_batch: dict) -> None:
        """Called after each iteration; time runs from one call to the next."""
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
        """The time between epochs does not count."""
        self._pause()

    def before_test_epoch(self, runner) -> None:
        """The time before a test does not count."""
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
    """What was measured before the process was started anew, to train on or to test alone."""
    try:
        return {
            key: value
            for key, value in read_json(path).items()
            if key.endswith('_images_per_second')
        }
    except (OSError, ValueError, AttributeError):
        return {}


def peak_memory() -> int:
    """Bytes: the most that was allocated on the GPU, or resident in this process on a CPU."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == 'darwin' else 1024
    )


def device() -> str:
    """Name of what the model runs on."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f'{platform.machine()} CPU, {torch.get_num_threads()} threads'
