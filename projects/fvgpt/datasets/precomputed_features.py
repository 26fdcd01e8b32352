"""A data set of precomputed image features, the only source of which is a file."""

from typing import Dict, List, Mapping, Optional, Tuple

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmpretrain.structures import DataSample
from torch import Tensor

from ..io.errors import UserError
from ..names import Branch, Subset
from ..registry import DATASETS
from .feature_file import FeatureFile
from .randomness import SeededIndex

FIELDS = ('full', 'foreground', 'exchanged', 'area')


@DATASETS.register_module()
class PrecomputedFeatures(BaseDataset):
    """Images that are given by their features, see :class:`~fvgpt.datasets.FeatureFile`.

    An item has ``inputs``, a dict of rows: ``full`` (D,) and, for training, what else ``views``
    names. With V views of an image, one is chosen per image and epoch, by the seed that the index
    carries (:class:`~fvgpt.datasets.randomness.SeededIndex`) or, if it carries none, by numpy's
    random numbers.

    ``metainfo`` contains ``classes``, ``subset``, ``branch`` and ``view``, as that of
    :class:`~fvgpt.datasets.FewShotDataset`.

    Args:
        feature_file, keys, scale: see :class:`~fvgpt.datasets.FeatureFile`.
        split: ``train`` or ``test``.
        subset: ``base``, ``new`` or ``all`` classes; training images are of base classes.
        views: what training reads: ``full``, ``foreground``, ``exchanged`` or ``area`` -> what it
            is taken from, ``train_<name>`` of the file. ``dict(full='full', foreground='full')``
            is the control with the full view in place of the foreground.
        num_views: use the first views of each image only; None uses all.
        view: what a test shows: ``test_<view>`` of the file, such as ``exchanged``; None is the
            full image.
        kwargs: as for MMEngine's data sets.

    Raises:
        MissingFileError: there is no such file.
        UserError: an invalid option; or a tensor is missing or does not fit the others.
    """

    def __init__(
        self,
        feature_file: str,
        keys: Optional[Mapping[str, str]] = None,
        scale: Optional[Mapping[str, float]] = None,
        split: str = 'train',
        subset: str = Subset.BASE,
        views: Mapping[str, str] = dict(full='full'),
        num_views: Optional[int] = None,
        view: Optional[str] = None,
        **kwargs,
    ):
        if split not in ('train', 'test'):
            raise UserError(f'split must be train or test, not {split!r}')
        if subset not in list(Subset) or (split == 'train' and subset != Subset.BASE):
            some = 'base' if split == 'train' else 'base, new or all'
            raise UserError(f'subset must be {some} for the split {split}, not {subset!r}')
        if 'full' not in views or set(views) - set(FIELDS):
            raise UserError(
                f'views must have full, and may have {", ".join(FIELDS[1:])}, not {dict(views)}'
            )
        if num_views is not None and num_views < 1:
            raise UserError(f'num_views must be at least 1, not {num_views}')
        self.split, self.subset, self.views = split, Subset(subset).value, dict(views)
        self.num_views, self.view = num_views, view
        self._shown = f'test_{view or "full"}'
        self.file = FeatureFile(feature_file, keys, scale)
        self.arrays: Dict[str, Tensor] = {}
        self._names = self.file.class_names(self.subset)
        self._labels = self._train_labels() if split == 'train' else self._test_labels()
        self._check()
        super().__init__(ann_file='', **kwargs)

    # ------------------------------------------------------------------ checks and labels
    def _train_labels(self) -> Tensor:
        return self.file.integers('train_labels', len(self._names), 'N')

    def _test_labels(self) -> Tensor:
        """Labels among the classes of the subset; -1 for images of the other half."""
        (count,) = self.file.check('test_labels', 'M')
        is_new = torch.zeros(count, dtype=torch.long)
        if self.file.has_new_classes:
            is_new = self.file.integers('test_is_new', 2, count)
        base = len(self.file.class_names(Subset.BASE))
        new = len(self.file.class_names(Subset.NEW)) if self.file.has_new_classes else 0
        labels = self.file.integers('test_labels', max(base, new), count)
        wrong = (labels >= torch.where(is_new > 0, new, base)).nonzero().flatten()
        if len(wrong):
            row = int(wrong[0])
            raise UserError(
                f'{self.file.path}: test_labels is {int(labels[row])} in row {row}, but its half '
                'has fewer classes: labels count from 0 within each half'
            )
        if self.subset == Subset.ALL:
            return labels + base * is_new
        return torch.where(is_new == (self.subset == Subset.NEW), labels, -1)

    def _check(self) -> None:
        """Check the shapes of everything that will be read."""
        dim = self.file.check('text_base', 'C', 'D')[1]
        if self.split == 'test':
            self._test_rows()
            self.file.check(self._shown, 'K', dim)
            return
        for field, view in self.views.items():
            self._check_views(f'train_{view}', *(() if field == 'area' else (dim,)))

    def _check_views(self, key: str, *rest: int) -> Tuple[int, ...]:
        """The shape of a tensor of all views, (V, N, ...) or (N, ...) for one view."""
        whole = (len(self._labels), *rest)
        is_one = key in self.file and len(self.file.shape(key)) == len(whole)
        shape = self.file.check(key, *whole) if is_one else self.file.check(key, 'V', *whole)
        views = 1 if is_one else shape[0]
        wanted = self.num_views or self._views_of_full()
        if views < wanted or (self.num_views is None and views != wanted):
            raise UserError(
                f'{self.file.path}: {self.file.name(key)!r} has {views} views of each '
                f'image, expected {wanted}; num_views={min(views, wanted)} uses the first ones only'
            )
        return shape

    def _views_of_full(self) -> int:
        shape = self.file.shape(f'train_{self.views["full"]}')
        return shape[0] if len(shape) == 3 else 1

    def _test_rows(self) -> Tensor:
        """Which test images the predicted view shows, (K,)."""
        count, key = len(self._labels), f'{self._shown}_rows'
        if key not in self.file:
            self.file.check(self._shown, count, 'D')
            return torch.arange(count)
        (shown,) = self.file.check(key, 'K')
        self.file.check(self._shown, shown, 'D')
        return self.file.integers(key, count, shown)

    # ------------------------------------------------------------------ called by MMEngine
    @classmethod
    def _load_metainfo(cls, metainfo: Optional[Mapping] = None) -> dict:
        """``metainfo`` unchanged; MMEngine reads a text value as the file of that name."""
        return dict(metainfo or {})

    def load_data_list(self) -> List[dict]:
        """``row`` of the arrays, ``image`` (its row in the file) and ``gt_label`` of each image.

        Reads the arrays.

        Raises:
            UserError: values are not finite, areas outside [0, 1], or no image of the subset.
        """
        branch = Branch.NEW if self.subset == Subset.NEW else Branch.BASE
        self._metainfo.update(classes=tuple(self._names), subset=self.subset)
        self._metainfo.setdefault('branch', branch.value)
        if self.view is not None:
            self._metainfo['view'] = self.view
        labels, images = self._labels, torch.arange(len(self._labels))
        if self.split == 'train':
            self._read_views()
        else:
            images = self._test_rows()
            labels = labels[images]
            self.arrays = dict(full=self.file.features(self._shown, len(labels), 'D')[None])
        items = [
            dict(row=row, image=image, gt_label=label)
            for row, (image, label) in enumerate(zip(images.tolist(), labels.tolist()))
        ]
        chosen = [item for item in items if item['gt_label'] >= 0]
        if not chosen:
            raise UserError(
                f'{self.file.path}: {self._shown} has no image of the subset {self.subset!r}'
            )
        return chosen

    def _read_views(self) -> None:
        for field, view in self.views.items():
            key = f'train_{view}'
            shape = self.file.shape(key)
            if field == 'area':
                array = self.file.read(key, *shape).float()
                if bool(((array < 0) | (array > 1)).any()):
                    raise UserError(f'{self.file.path}: {key} must lie between 0 and 1')
                views = array.reshape(-1, len(self._labels))
            else:
                features = self.file.features(key, *shape)
                views = features.reshape(-1, len(self._labels), shape[-1])
            self.arrays[field] = views[: self.num_views]

    def prepare_data(self, idx: int) -> dict:
        """One image: ``inputs``, a dict of its rows, and ``data_samples``: label and name."""
        info = self.get_data_info(idx)
        views = len(self.arrays['full'])
        seed = idx.seed if isinstance(idx, SeededIndex) else int(np.random.randint(2**31))
        inputs = {name: array[seed % views, info['row']] for name, array in self.arrays.items()}
        image = f'{self.file.path.name}#{info["image"]}'
        sample = DataSample(metainfo=dict(sample_idx=info['sample_idx'], img_path=image))
        return dict(inputs=inputs, data_samples=sample.set_gt_label(info['gt_label']))
