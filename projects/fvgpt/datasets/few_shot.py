"""Base class of the data sets: few-shot sampling, class subsets and foreground masks."""

import logging
from abc import abstractmethod
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Dict, List, Optional, Sequence, Tuple

from mmengine.logging import print_log
from mmpretrain.datasets import BaseDataset

from ..io.errors import MissingMaskError, UserError
from ..io.log_once import log_once
from ..io.require_path import require_path
from ..names import Branch, Subset
from .class_names import alike_names
from .class_subsets import subset_labels
from .few_shot_sampling import draw_subset
from .image_lists import Sample, read_lists
from .layouts import LAYOUTS, layout_root
from .mask_check import check_masks
from .mask_controls import MASK_OF, exchange_masks
from .other_images_dataset import apply_pipeline
from .randomness import sample_randomness
from .view_images import images_with_usable_masks
from .views import VIEWS, view_pipeline

SPLITS = ('train', 'val', 'test')
MISSING_MASK = ('error', 'full')
DEFAULT_MASK_ROOT = 'mask'  # as in the released archives; of tests that show a view


def _choice(key: str, value: str, choices: Tuple[str, ...]) -> str:
    if value not in choices:
        raise UserError(f'{key} must be one of {", ".join(choices)}, not {value!r}')
    return value


class FewShotDataset(BaseDataset):
    """Base class: few-shot sampling, class subsets and masks on top of a list of images.

    A sub-class defines the classes (:meth:`class_names_by_label`) and the images (:meth:`samples`).
    ``metainfo`` contains ``classes`` (names in label order of the subset), ``subset`` and
    ``branch`` (the branch of FVG-PT that predicts: ``new`` for new classes, else ``base``). If the
    images belong to groups, such as the kinds of background, ``groups`` are the names of the groups
    in the metainfo, and each item has the number of its group as ``group``.

    Args:
        data_root: folder that image paths are relative to.
        split: ``train``, ``val`` or ``test``.
        subset: ``all``, ``base`` or ``new`` classes, relabelled from 0.
        num_shots: images per class for ``train``, min(num_shots, 4) for ``val``, ignored for
            ``test``. None uses all images.
        seed: seed of the few-shot draw. Images of all classes are drawn before the subset is
            selected.
        mask_root: folder of the masks, relative to ``data_root`` (``mask`` in the released
            archives). Each mask has the path of its image. None loads no masks.
        mask_suffix: suffix of mask files if it differs from the image's, e.g. ``.png``.
        missing_mask: ``error`` raises an error that names the first missing file. ``full`` counts
            the missing files, warns once and uses the whole image as foreground, which the gate
            does not trust (decisions O2, O3).
        mask_of: whose mask an image gets in training: its ``own``; or, as controls that tell what
            true masks are worth, that of another image, ``shuffled`` (by ``seed``, of another
            class) or ``area_matched``, see :mod:`fvgpt.datasets.mask_controls`. A mask of another
            size is resized to the image.
        view: what a test shows of its images, a key of :data:`fvgpt.datasets.views.VIEWS` such as
            ``exchanged``; images without a usable mask are left out and counted. Its masks are
            those of ``mask_root``, or else of training, or else of the default folder. None shows
            all images as they are, and reads no masks.
        subset_file: file written by ``tools/few_shot_subsets.py``, whose few-shot subset is used
            instead of drawing one. ``{num_shots}`` and ``{seed}`` in its path are replaced.
        layout: ``coop`` for CoOp's layout, all data sets in ``data_root``; ``archives`` for the
            layout of the released foreground archives, in which the root of a data set, with its
            own ``mask`` folder, is ``data_root/archive``.
        archive: name of that folder. None for a data set that is in no archive and is in
            ``data_root`` in both layouts.
        metainfo, pipeline, test_mode, lazy_init and others: as in mmpretrain.
            ``metainfo=dict(branch='new')`` evaluates a target data set with the new branch.

    Raises:
        MissingFileError: a file or folder does not exist; names it and the key to change.
        UserError: an option is invalid.
    """

    groups: Tuple[str, ...] = ()  # names

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        subset: str = Subset.ALL,
        num_shots: Optional[int] = None,
        seed: int = 1,
        mask_root: Optional[str] = None,
        mask_suffix: Optional[str] = None,
        missing_mask: str = 'error',
        mask_of: str = 'own',
        view: Optional[str] = None,
        subset_file: Optional[str] = None,
        layout: str = 'coop',
        archive: Optional[str] = None,
        **kwargs,
    ):
        self.split = _choice('split', split, SPLITS)
        # A plain string: checkpoints, which contain the metainfo, are read without classes of ours.
        self.subset = Subset(_choice('subset', subset, tuple(Subset))).value
        self.missing_mask = _choice('missing_mask', missing_mask, MISSING_MASK)
        self.mask_of = _choice('mask_of', mask_of, MASK_OF)
        self.view = None if view is None else _choice('view', view, tuple(VIEWS))
        if self.view is not None:
            kwargs['pipeline'] = view_pipeline(kwargs.get('pipeline', ()), self.view)
        if num_shots is not None and not (isinstance(num_shots, int) and num_shots >= 1):
            raise UserError(
                'num_shots must be a whole number of at least 1, or None for all images, '
                f'not {num_shots!r}'
            )
        self.num_shots, self.seed = num_shots, seed
        self.mask_root, self.mask_suffix = mask_root, mask_suffix
        self.subset_file: Optional[Path] = None
        if subset_file:
            path = subset_file.replace('{num_shots}', str(num_shots)).replace('{seed}', str(seed))
            self.subset_file = Path(path).expanduser()
        root = layout_root(data_root, _choice('layout', layout, LAYOUTS), archive)
        if layout == 'archives' and archive:
            require_path(
                root,
                'data_root',
                "the folder that contains the folders of the released archives (layout='archives')",
            )
        self.check_files(root)
        super().__init__(ann_file='', data_root=str(root), **kwargs)

    # ------------------------------------------------------------------ defined by a sub-class
    def check_files(self, root: Path) -> None:
        """Check that the required files exist, before anything is read.

        Sub-classes add their own files.

        Args:
            root: folder that the data set's paths are relative to.

        Raises:
            MissingFileError: names the path and the key to change.
        """
        require_path(root, 'data_root', 'the folder with the data sets')
        needs_masks = self.split == 'train' and self.missing_mask == 'error'
        if self.mask_root and (needs_masks or self.view is not None):
            require_path(
                root / self.mask_folder(),
                'mask_root',
                'the folder with the foreground masks (without masks: '
                "missing_mask='full'; to make them: tools/generate_foreground.py)",
                MissingMaskError,
            )
        if self.subset_file:
            require_path(self.subset_file, 'subset_file', 'a file of tools/few_shot_subsets.py')

    @abstractmethod
    def class_names_by_label(self) -> Dict[int, str]:
        """Label -> name of all classes of the data set."""

    @abstractmethod
    def samples(self, split: str) -> List[Sample]:
        """All images of a split, in the order in which the few-shot draw receives them."""

    def group(self, path: str) -> int:
        """Position in ``groups`` of the image ``path``, which is relative to ``data_root``.

        Defined by a sub-class with groups.
        """
        raise NotImplementedError

    # ------------------------------------------------------------------ called by MMEngine
    @classmethod
    def _load_metainfo(cls, metainfo: Optional[dict] = None) -> dict:
        """``metainfo`` unchanged.

        MMEngine's own method reads a text value, such as a data set's name, as the file of that
        name if there is one.
        """
        return dict(cls.METAINFO, **(metainfo or {}))

    def load_data_list(self) -> List[dict]:
        """The selected images, as dicts with ``img_path`` and ``gt_label``.

        With masks they have ``mask_path`` too, and with groups ``group``.

        Labels are 0 .. C - 1 within the class subset.

        Raises:
            UserError: no images, too few classes, or a label without a class.
            MissingMaskError: a mask does not exist and ``missing_mask`` is ``error``.
        """
        names = self.class_names_by_label()
        labels = self._subset_labels(names)
        position = {label: i for i, label in enumerate(labels)}
        drawn = self._draw(names)
        self._check_labels(drawn, names)
        chosen = [sample for sample in drawn if sample.label in position]
        if not chosen:
            raise UserError(
                f'{self.data_root}: the split {self.split!r} has no images of the subset '
                f'{self.subset!r}'
            )
        self._metainfo.update(classes=tuple(names[label] for label in labels), subset=self.subset)
        self._metainfo.setdefault(
            'branch', Branch.NEW.value if self.subset == Subset.NEW else Branch.BASE.value
        )
        root = Path(self.data_root)
        data_list = [dict(img_path=str(root / s.path), gt_label=position[s.label]) for s in chosen]
        if self.groups:
            self._metainfo['groups'] = self.groups
            for info, sample in zip(data_list, chosen):
                info['group'] = self.group(sample.path)
        if self.view is not None:
            self._metainfo['view'] = self.view
            self.mask_root = self.mask_root or DEFAULT_MASK_ROOT
        if self.mask_root:
            for info, mask in zip(data_list, self._masks([s.path for s in chosen])):
                info['mask_path'] = mask
            if self.view is not None:
                return images_with_usable_masks(
                    data_list, self.pipeline.transforms[0], str(self.data_root)
                )
            if self.mask_of != 'own':
                exchange_masks(data_list, self.mask_of, self.seed, str(self.data_root))
        return data_list

    def prepare_data(self, idx: int) -> dict:
        """Load an image with the random state that its index carries.

        See :func:`~fvgpt.datasets.randomness.sample_randomness`. A transform that reads other
        images, such as PasteForeground, finds the data set in the results.
        """
        with sample_randomness(idx):
            return apply_pipeline(self, idx)

    # ------------------------------------------------------------------ classes and images
    def _subset_labels(self, names: Dict[int, str]) -> List[int]:
        """Labels of the class subset, which must be enough to train a classifier."""
        labels = subset_labels(list(names), self.subset)
        if not labels:
            raise UserError(
                f'{self.data_root}: the subset {self.subset!r} has no classes; a base and a new '
                f'half need at least two classes, there are {len(names)}'
            )
        if self.split == 'train' and len(labels) == 1:
            raise UserError(
                f'{self.data_root}: the subset {self.subset!r} has one class, '
                f'{names[labels[0]]!r}, and a classifier needs two'
            )
        return labels

    def _check_labels(self, samples: Sequence[Sample], names: Dict[int, str]) -> None:
        """Refuse labels without a class; warn of classes with few images or with equal names."""
        for path, label in samples:
            if label not in names:
                raise UserError(
                    f'{Path(self.data_root) / path} has the label {label}, but the labels of the '
                    f'{len(names)} classes are {min(names)} to {max(names)}; correct the label or '
                    'the list of classes'
                )
        if self.split == 'train':
            self._warn_of_few_images(samples, names)
        alike = alike_names(list(names.values()))
        if alike:
            log_once(f'{self.data_root}: {alike}', logging.WARNING)

    def _warn_of_few_images(self, samples: Sequence[Sample], names: Dict[int, str]) -> None:
        count = Counter(sample.label for sample in samples)
        wanted = self.num_shots or 1
        short = [label for label in sorted(names) if count[label] < wanted]
        if short:
            log_once(
                f'{self.data_root}: {len(short)} of {len(names)} classes have fewer than {wanted} '
                f'training images, the first is {names[short[0]]!r} with {count[short[0]]}; all '
                'images of these classes are used',
                logging.WARNING,
            )

    def _draw(self, names: Dict[int, str]) -> List[Sample]:
        """The images of the split, few-shot if that is asked for, of all classes."""
        if self.split == 'test':
            return self.samples('test')
        if self.subset_file:
            return self._given_subset(self.subset_file, names)
        if self.num_shots is None:
            return self.samples(self.split)
        splits = ('train', 'val') if self.split == 'val' else ('train',)
        return draw_subset(self.samples, self.num_shots, self.seed, splits)[self.split]

    def _given_subset(self, file: Path, names: Dict[int, str]) -> List[Sample]:
        """The images of the split in a subset file.

        Raises:
            UserError: the file belongs to another data set, contains another number of images per
                class than ``num_shots``, or lists an image twice.
            MissingFileError: a listed image does not exist.
        """
        lists = read_lists(file, required=('train', 'val'))
        for path, label, name in (entry for entries in lists.values() for entry in entries):
            if names.get(label) != name:
                raise UserError(
                    f'{file} belongs to another data set: {path} has label {label} for {name!r}, '
                    f'which is {names.get(label)!r} in {self.data_root}'
                )
        shots = max(Counter(entry.label for entry in lists['train']).values(), default=0)
        if self.num_shots not in (None, shots):
            raise UserError(
                f'{file} has {shots} images per class, num_shots is {self.num_shots}; set '
                f'num_shots={shots} or use another file'
            )
        for path, count in Counter(entry.path for entry in lists[self.split]).items():
            if count > 1:
                raise UserError(f'{file} lists {path} {count} times in {self.split!r}')
            require_path(Path(self.data_root) / path, 'subset_file', 'a list of images that exist')
        return [Sample(entry.path, entry.label) for entry in lists[self.split]]

    # ------------------------------------------------------------------ masks
    def mask_folder(self) -> str:
        """Folder of the masks of the split, relative to ``data_root``."""
        assert self.mask_root is not None, 'mask_root is not set'
        return self.mask_root

    def mask_path(self, path: str) -> str:
        """Path of the mask of the image ``path``; both are relative to ``data_root``."""
        mask = PurePosixPath(self.mask_folder()) / path
        return str(mask.with_suffix(self.mask_suffix) if self.mask_suffix else mask)

    def mask_file(self, path: str) -> str:
        """Mask file of the image ``path``, which is relative to ``data_root``."""
        return str(Path(self.data_root) / self.mask_path(path))

    def _masks(self, paths: Sequence[str]) -> List[Optional[str]]:
        """Mask file of each image, None if it does not exist."""
        masks = [self.mask_file(path) for path in paths]
        missing = [mask for mask in masks if not Path(mask).is_file()]
        if missing and self.view is None:
            self._report_missing(missing, len(masks))
        absent = set(missing)
        images = [Path(self.data_root) / path for path in paths]
        check_masks(
            str(self.data_root),
            [(image, mask) for image, mask in zip(images, masks) if mask not in absent],
        )
        return [None if mask in absent else mask for mask in masks]

    def _report_missing(self, missing: Sequence[str], count: int) -> None:
        """Refuse missing masks of ``count``, or warn of them, see ``missing_mask``."""
        if self.missing_mask == 'error':
            raise MissingMaskError(
                f'{len(missing)} of {count} foreground masks are missing, the first is '
                f'{missing[0]}; check mask_root and mask_suffix, or set '
                "missing_mask='full' to train without them"
            )
        print_log(
            f'{len(missing)} of {count} foreground masks are missing in '
            f'{self.data_root}/{self.mask_root}; the whole image counts as foreground there, '
            'which the gate does not trust',
            'current',
            level=logging.WARNING,
        )
