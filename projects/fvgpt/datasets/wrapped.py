"""Any mmpretrain data set, with shots, class subsets and masks added."""

from pathlib import Path
from typing import Any, Dict, List, Union

from mmengine.dataset import BaseDataset as EngineDataset

from ..io.errors import UserError
from ..registry import DATASETS
from .few_shot import FewShotDataset
from .image_lists import Sample, check_relative


@DATASETS.register_module()
class FewShotWrapper(FewShotDataset):
    """The images and class names of another data set (CUB, CIFAR on disk, CustomDataset, ...).

    Args:
        dataset: config of, or, a data set whose items have ``img_path`` and ``gt_label`` and whose metainfo has
            ``classes``. It stands for the split given here, so a wrapped training set has no validation images; its
            pipeline is not used. A config without ``data_root`` takes the one given here.
        data_root: folder that holds all its images; mask paths mirror theirs relative to it.
        others: see :class:`~fvgpt.datasets.few_shot.FewShotDataset`.
    """

    def __init__(self, dataset: Union[dict, EngineDataset], data_root: str, **kwargs):
        if isinstance(dataset, dict):
            wraps = {'dataset', 'datasets'} & set(
                dataset
            )  # ConcatDataset and its like have no data_root
            dataset = DATASETS.build(dataset if wraps else {'data_root': data_root, **dataset})
        self.dataset = dataset
        self.dataset.full_init()
        if not self.dataset.metainfo.get('classes'):
            raise UserError(
                f'{type(self.dataset).__name__} has no class names in its metainfo; set its `classes`'
            )
        super().__init__(data_root=data_root, **kwargs)

    def class_names_by_label(self) -> Dict[int, str]:
        """The classes of the wrapped data set."""
        return dict(enumerate(self.dataset.metainfo['classes']))

    def samples(self, split: str) -> List[Sample]:
        """The images of the wrapped data set, which is one split.

        Raises:
            ValueError: another split is asked for, or an image lies outside ``data_root``.
        """
        if split == 'val' and self.split == 'train':
            return []
        if split != self.split:
            raise UserError(
                f'a {type(self).__name__} holds one split ({self.split!r}), {split!r} was asked for; wrap the '
                'training split as split="train", also for validation'
            )
        root, found = Path(self.data_root).resolve(), []
        for index in range(len(self.dataset)):
            info = self.dataset.get_data_info(index)
            path = Path(info['img_path']).resolve()
            if root not in path.parents:
                raise UserError(
                    f'{path} lies outside data_root {root}; give the folder that holds all images'
                )
            found.append(
                Sample(
                    check_relative(path.relative_to(root).as_posix(), type(self.dataset).__name__),
                    int(info['gt_label']),
                )
            )
        return found


def innermost(dataset: Any) -> Any:
    """The data set inside wrappers that know nothing of classes."""
    while not hasattr(dataset, 'metainfo') and hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    return dataset
