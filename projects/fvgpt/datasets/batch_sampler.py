"""Batches of training images."""

from typing import Iterator, List

import numpy as np
from mmengine.dataset import DefaultSampler
from torch.utils.data import BatchSampler

from ..registry import DATA_SAMPLERS
from .randomness import SeededIndex


@DATA_SAMPLERS.register_module()
class WholeBatchSampler(BatchSampler):
    """Whole batches only, unless there are fewer images than one takes: then all of them, as Dassl batches.

    MMEngine's ``drop_last=True`` would leave nothing to train on there, as with one shot of ten classes in batches of 32. On
    several processes the batches of all of them together are what counts, so that they drop what one process would drop.
    Indices carry a seed made of the run's seed, the epoch and the image, see :func:`sample_randomness`.

    Args:
        sampler: of the images of this process.
        batch_size: images a batch of this process.
    """

    sampler: DefaultSampler

    def __init__(self, sampler: DefaultSampler, batch_size: int):
        super().__init__(sampler, batch_size, drop_last=len(sampler) >= batch_size)

    def __len__(self) -> int:
        images = getattr(self.sampler, 'dataset', self.sampler)  # DefaultSampler pads its own share
        return max(len(images) // (self.batch_size * getattr(self.sampler, 'world_size', 1)), 1)

    def __iter__(self) -> Iterator[List[int]]:
        run, epoch = getattr(self.sampler, 'seed', 0), getattr(self.sampler, 'epoch', 0)
        for batch, _ in zip(super().__iter__(), range(len(self))):
            yield [
                SeededIndex(
                    index, int(np.random.SeedSequence([run, epoch, index]).generate_state(1)[0])
                )
                for index in batch
            ]
