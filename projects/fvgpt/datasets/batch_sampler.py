"""Batches of training images."""
from torch.utils.data import BatchSampler, Sampler

from ..registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class WholeBatchSampler(BatchSampler):
    """Whole batches only, unless there are fewer images than one takes: then all of them (method section 1.6).

    MMEngine's ``drop_last=True`` would leave nothing to train on there, as with one shot of ten classes in batches of 32.

    Args:
        sampler: of the images of this process.
        batch_size: images a batch.
    """

    def __init__(self, sampler: Sampler, batch_size: int):
        super().__init__(sampler, batch_size, drop_last=len(sampler) >= batch_size)
