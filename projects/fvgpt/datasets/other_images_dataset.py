"""Data sets for pipelines with transforms that read other images of the data set, too."""

from typing import Any

from mmengine.dataset import BaseDataset, RepeatDataset

from ..registry import DATASETS
from .randomness import sample_randomness


def apply_pipeline(dataset: BaseDataset, index: int) -> Any:
    """What a data set's pipeline makes of an image.

    If one of its steps has the attribute ``reads_other_images``, the results contain the data set
    itself as ``dataset`` (the convention of MMYOLO's data sets), from which the step loads others.
    """
    info = dataset.get_data_info(index)
    steps = getattr(dataset.pipeline, 'transforms', ())
    if any(getattr(step, 'reads_other_images', False) for step in steps):
        info['dataset'] = dataset
    return dataset.pipeline(info)


@DATASETS.register_module()
class OtherImagesDataset(RepeatDataset):
    """Any data set of MMEngine, for a pipeline with transforms that read its other images.

    The data sets of this project and :class:`~fvgpt.datasets.FewShotWrapper` need no such wrapper.

    Args:
        dataset: the data set or its config; its items need what its transforms read, for example
            ``mask_path`` for LoadForegroundMask.
    """

    def __init__(self, dataset: Any):
        super().__init__(dataset, times=1)

    @property
    def pipeline(self) -> Any:
        """The pipeline of the data set."""
        return self.dataset.pipeline

    def __getitem__(self, index: int) -> Any:
        """What the pipeline makes of an image, with the random state that its index carries."""
        with sample_randomness(index):
            return apply_pipeline(self.dataset, index)
