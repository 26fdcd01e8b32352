"""Defaults of data loaders: the number of workers fits the machine, GPUs get pinned memory."""

import os

import torch
from mmengine.config import Config

from ...io.device import cpu_count

MAX_WORKERS = 16  # of one process; more cost memory and time to start


def available_workers() -> int:
    """Loader workers for this process: its share of the cores it may run on, at least one.

    Processes of torchrun (and parallel runs of a protocol) share the cores; ``LOCAL_WORLD_SIZE`` is
    their number. Never 0, because random crops are drawn differently without workers and would
    then depend on the machine.
    """
    return max(1, min(MAX_WORKERS, cpu_count() // int(os.environ.get('LOCAL_WORLD_SIZE', 1))))


def set_loader_defaults(config: Config) -> None:
    """Set ``num_workers``, ``pin_memory`` and ``persistent_workers`` of a recipe's data loaders.

    Values in the recipe have priority, with two exceptions, because mmpretrain's commands set both
    keys for all loaders: ``pin_memory`` is useless without a GPU, and ``persistent_workers``
    without workers is an error in torch.
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
