"""Adds few-shot sampling, class subsets and masks to a data set of mmpretrain."""

from pathlib import Path
from typing import Dict, List, Union

from mmengine.dataset import BaseDataset as EngineDataset

from ..io.errors import UserError
from ..registry import DATASETS
from .few_shot import FewShotDataset
from .image_lists import Sample, check_relative


@DATASETS.register_module()
class FewShotWrapper(FewShotDataset):
    """The images and class names of another data set, such as CUB or mmpretrain's CustomDataset.

    Args:
        dataset: the wrapped data set or its config. Its items must have ``img_path`` and
            ``gt_label``, its metainfo ``classes``. It is one split, the one given by ``split``, so
            a wrapped training set has no validation images. Its pipeline is not used. If its config
            has no ``data_root``, it gets the one given here.
        data_root: folder that contains all its images. Masks have the same path as their image,
            relative to ``mask_root`` instead of ``data_root``.
        others: see :class:`~fvgpt.datasets.few_shot.FewShotDataset`.

    Raises:
        UserError: the data set has no class names.
    """

    def __init__(self, dataset: Union[dict, EngineDataset], data_root: str, **kwargs):
        if isinstance(dataset, dict):
            # ConcatDataset and other wrappers of data sets take no data_root
            is_wrapper = {'dataset', 'datasets'} & set(dataset)
            dataset = DATASETS.build(dataset if is_wrapper else {'data_root': data_root, **dataset})
        self.dataset = dataset
        self.dataset.full_init()
        if not self.dataset.metainfo.get('classes'):
            raise UserError(
                f'{type(self.dataset).__name__} has no class names in its metainfo; '
                'set its `classes`'
            )
        super().__init__(data_root=data_root, **kwargs)

    def class_names_by_label(self) -> Dict[int, str]:
        """Label -> class name of the wrapped data set."""
        return dict(enumerate(self.dataset.metainfo['classes']))

    def samples(self, split: str) -> List[Sample]:
        """All images of the wrapped data set, which is one split.

        Raises:
            UserError: another split is asked for, or an image is outside ``data_root``.
        """
        if split == 'val' and self.split == 'train':
            return []
        if split != self.split:
            raise UserError(
                f'a {type(self).__name__} holds one split ({self.split!r}), {split!r} was asked '
                'for; wrap the training split as split="train", also for validation'
            )
        root, samples = Path(self.data_root).resolve(), []
        source = type(self.dataset).__name__
        for index in range(len(self.dataset)):
            info = self.dataset.get_data_info(index)
            path = Path(info['img_path']).resolve()
            if root not in path.parents:
                raise UserError(
                    f'{path} is outside data_root {root}; give the folder that contains all images'
                )
            relative = check_relative(path.relative_to(root).as_posix(), source)
            samples.append(Sample(relative, int(info['gt_label'])))
        return samples
