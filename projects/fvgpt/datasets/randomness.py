"""Random state for the augmentation of a single image."""

import random
from contextlib import contextmanager
from typing import Iterator

import numpy as np
import torch
from mmengine.dist import get_world_size
from torch.utils.data import get_worker_info


class SeededIndex(int):
    """Index of an image together with the seed of its augmentation.

    Data loaders pass the index to a worker process, and the seed with it.
    """

    seed: int

    def __new__(cls, index: int, seed: int) -> 'SeededIndex':
        self = super().__new__(cls, index)
        self.seed = seed
        return self

    def __getnewargs__(self):  # for pickling
        return int(self), self.seed


@contextmanager
def forked_random_state(seed: int) -> Iterator[None]:
    """Seed the generators of Python, numpy and torch (CPU) in the body; restore them after it."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)


@contextmanager
def sample_randomness(index: int) -> Iterator[None]:
    """Use the seed that an index carries, if any, for the random numbers of the body.

    With loader workers or several processes, the augmentation of an image then does not depend on
    the process that loads it, and a resumed run continues with the same augmentations. A single
    process without workers uses its own random stream, whose state is saved in checkpoints
    (``RandomStateHook``).
    """
    if isinstance(index, SeededIndex) and (get_worker_info() is not None or get_world_size() > 1):
        with forked_random_state(index.seed):
            yield
    else:
        yield
