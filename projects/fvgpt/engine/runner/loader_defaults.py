"""How images are loaded where a recipe does not say: worker processes by the machine, pinned memory
for GPUs."""

import os

import torch
from mmengine.config import Config

from ...io.device import cpu_count

MAX_WORKERS = 16  # of one process; more cost memory and time to start


def available_workers() -> int:
    """Loader workers for this process: its share of the cores it may run on, at least one.

    Processes of torchrun (and runs of a protocol side by side) share the cores,
    ``LOCAL_WORLD_SIZE`` says how many. Never 0, so that random crops, which are drawn otherwise
    without workers, do not depend on the machine.
    """
    return max(1, min(MAX_WORKERS, cpu_count() // int(os.environ.get('LOCAL_WORLD_SIZE', 1))))


def set_loader_defaults(config: Config) -> None:
    """Fill in ``num_workers``, ``pin_memory`` and ``persistent_workers`` of a recipe's data
    loaders.

    What the recipe has stays, unless it cannot be: mmpretrain's commands ask all loaders for pinned
    memory and persistent workers, the one useless without a GPU and the other an error of torch
    without workers.
    """
    for part in ('train', 'val', 'test'):
        loader = config.get(f'{part}_dataloader')
        if not isinstance(loader, dict):  # there is none
            continue
        loader.setdefault('num_workers', available_workers())
        loader['pin_memory'] = loader.get('pin_memory', True) and torch.cuda.is_available()
        # Those of tests are gone through once
        persistent = loader.get('persistent_workers', part != 'test')
        loader['persistent_workers'] = persistent and loader['num_workers'] > 0
