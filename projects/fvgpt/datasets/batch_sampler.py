"""Batches of training images, as in the original implementations."""

from typing import Iterator, List

import numpy as np
from mmengine.dataset import DefaultSampler
from torch.utils.data import BatchSampler

from ..registry import DATA_SAMPLERS
from .randomness import SeededIndex


@DATA_SAMPLERS.register_module()
class WholeBatchSampler(BatchSampler):
    """Drops the last incomplete batch, unless it is the only one. This is how Dassl batches.

    With MMEngine's ``drop_last=True`` a data set that is smaller than one batch, such as one shot
    of ten classes with batches of 32, would have no batches. With several processes the batches of
    all processes together are counted, so that they drop the images that one process would drop.

    Each index carries a seed that is derived from the seed of the run, the epoch and the image, see
    :func:`~fvgpt.datasets.randomness.sample_randomness`.

    Args:
        sampler: sampler of the images of this process.
        batch_size: images per batch and process.
    """

    sampler: DefaultSampler

    def __init__(self, sampler: DefaultSampler, batch_size: int):
        super().__init__(sampler, batch_size, drop_last=len(sampler) >= batch_size)

    def __len__(self) -> int:
        # the whole data set, because DefaultSampler pads the share of each process
        images = getattr(self.sampler, 'dataset', self.sampler)
        return max(len(images) // (self.batch_size * getattr(self.sampler, 'world_size', 1)), 1)

    def __iter__(self) -> Iterator[List[int]]:
        run_seed = getattr(self.sampler, 'seed', 0)
        epoch = getattr(self.sampler, 'epoch', 0)
        for batch, _ in zip(super().__iter__(), range(len(self))):
            yield [SeededIndex(index, _image_seed(run_seed, epoch, index)) for index in batch]


def _image_seed(run_seed: int, epoch: int, index: int) -> int:
    return int(np.random.SeedSequence([run_seed, epoch, index]).generate_state(1)[0])
