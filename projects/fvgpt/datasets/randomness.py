"""Random numbers of one image's augmentation."""

import random
from contextlib import contextmanager
from typing import Iterator

import numpy as np
import torch
from mmengine.dist import get_world_size
from torch.utils.data import get_worker_info


class SeededIndex(int):
    """Index of an image that carries the seed of its augmentation into whichever process loads it."""

    seed: int

    def __new__(cls, index: int, seed: int) -> 'SeededIndex':
        self = super().__new__(cls, index)
        self.seed = seed
        return self

    def __getnewargs__(self):
        return int(self), self.seed


@contextmanager
def forked_random_state(seed: int) -> Iterator[None]:
    """Seed all generators for the body and set them back after it."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        for manual_seed in (torch.default_generator.manual_seed, np.random.seed, random.seed):
            manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


@contextmanager
def sample_randomness(index: int) -> Iterator[None]:
    """Draw random numbers by the seed that an index carries, so that an image is augmented alike whichever of several
    processes loads it, and in a resumed run as in one that was never stopped.

    One process without loader workers goes on in its own stream, whose state checkpoints keep (``RandomStateHook``).
    """
    if isinstance(index, SeededIndex) and (get_worker_info() is not None or get_world_size() > 1):
        with forked_random_state(index.seed):
            yield
    else:
        yield
