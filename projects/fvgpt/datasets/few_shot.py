"""Few-shot data sets with a base and a new half of the classes, and foreground masks."""

import logging
from abc import abstractmethod
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Dict, List, Optional, Sequence, Tuple

from mmengine.logging import print_log
from mmpretrain.datasets import BaseDataset

from ..io.errors import MissingFileError, UserError
from ..io.log_once import log_once
from .class_names import alike_names
from .image_lists import Sample, draw_subset, read_lists
from .mask_check import check_masks
from .randomness import sample_randomness

SPLITS = ('train', 'val', 'test')
SUBSETS = ('all', 'base', 'new')
MISSING_MASK = ('error', 'full')
LAYOUTS = ('coop', 'archives')


def subset_labels(labels: Sequence[int], subset: str) -> List[int]:
    """Labels of a subset, sorted: the first ceil(n / 2) are ``base``, the others ``new`` (as in CoCoOp, Zhou et al.,
    CVPR 2022)."""
    labels = sorted(set(labels))
    half = (len(labels) + 1) // 2
    return dict(all=labels, base=labels[:half], new=labels[half:])[subset]


def _choice(key: str, value: str, choices: Tuple[str, ...]) -> str:
    if value not in choices:
        raise UserError(f'{key} must be one of {", ".join(choices)}, not {value!r}')
    return value


def layout_root(data_root: str, layout: str, archive: Optional[str]) -> Path:
    """The folder that a data set's paths are relative to; see :class:`FewShotDataset`."""
    root = Path(data_root).expanduser()
    return root / archive if _choice('layout', layout, LAYOUTS) == 'archives' and archive else root


class FewShotDataset(BaseDataset):
    """Base of the data sets: few-shot sampling, class subsets and masks on top of a list of images.

    A sub-class says which classes (:meth:`class_names_by_label`) and images (:meth:`samples`) there are. ``metainfo``
    holds ``classes`` (names, in label order of the subset), ``subset`` and ``branch``.

    Args:
        data_root: folder that image paths are relative to.
        split: ``train``, ``val`` or ``test``.
        subset: ``all``, ``base`` or ``new`` classes, relabelled from 0.
        num_shots: images a class, for train; min(num_shots, 4) for val; ignored for test. None takes all.
        seed: of the few-shot draw. All classes are drawn before the subset is chosen.
        mask_root: folder below which masks lie at the same relative path as their images, relative to ``data_root``
            (``mask`` in the released archives). None loads no masks.
        mask_suffix: suffix of mask files where it differs from the image's, e.g. ``.png``.
        subset_file: file of ``tools/few_shot_subsets.py`` with the few-shot subset to take in place of drawing one;
            ``{num_shots}`` and ``{seed}`` in its path stand for these.
        layout: ``coop`` for CoOp's layout, all data sets below ``data_root``; ``archives`` for that of the released
            foreground archives, where the root of a data set, with its own ``mask`` folder, is ``data_root/archive``.
        archive: that folder; None for a data set that is in no archive and lies below ``data_root`` in either layout.
        missing_mask: ``error`` names the first missing file; ``full`` counts them, warns once and takes the whole image
            for foreground, which the gate then does not trust (decisions O2, O3).
        metainfo, pipeline, test_mode, lazy_init and the rest: as in mmpretrain. ``metainfo=dict(branch='new')``
            evaluates a target data set by the new branch.

    Raises:
        FileNotFoundError: the data root or something below it is missing; says what, and which key to change.
    """

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        subset: str = 'all',
        num_shots: Optional[int] = None,
        seed: int = 1,
        mask_root: Optional[str] = None,
        mask_suffix: Optional[str] = None,
        missing_mask: str = 'error',
        subset_file: Optional[str] = None,
        layout: str = 'coop',
        archive: Optional[str] = None,
        **kwargs,
    ):
        self.split = _choice('split', split, SPLITS)
        self.subset = _choice('subset', subset, SUBSETS)
        self.missing_mask = _choice('missing_mask', missing_mask, MISSING_MASK)
        if num_shots is not None and not (isinstance(num_shots, int) and num_shots >= 1):
            raise UserError(
                f'num_shots must be a whole number of at least 1, or None for all images, not {num_shots!r}'
            )
        self.num_shots, self.seed = num_shots, seed
        self.mask_root, self.mask_suffix = mask_root, mask_suffix
        self.subset_file: Optional[Path] = None
        if subset_file:
            path = subset_file.replace('{num_shots}', str(num_shots)).replace('{seed}', str(seed))
            self.subset_file = Path(path).expanduser()
        root = layout_root(data_root, layout, archive)
        if layout == 'archives' and archive:
            require(
                root,
                'data_root',
                "the folder with the released archives' folders (layout='archives')",
            )
        self.check_files(root)
        super().__init__(ann_file='', data_root=str(root), **kwargs)

    # ------------------------------------------------------------------ what a sub-class says
    def check_files(self, root: Path) -> None:
        """Fail in the first second when something is not there; sub-classes add their own files."""
        require(root, 'data_root', 'the folder with the data sets')
        if self.mask_root and self.split == 'train' and self.missing_mask == 'error':
            require(
                root / self.mask_root,
                'mask_root',
                'the folder with the foreground masks (without masks: '
                "missing_mask='full', or make them: tools/generate_foreground.py)",
            )
        if self.subset_file:
            require(self.subset_file, 'subset_file', 'a file of tools/few_shot_subsets.py')

    @abstractmethod
    def class_names_by_label(self) -> Dict[int, str]:
        """Names of all classes of the data set."""

    @abstractmethod
    def samples(self, split: str) -> List[Sample]:
        """All images of a split, in the order that the few-shot draw sees."""

    # ------------------------------------------------------------------ mmengine's side
    @classmethod
    def _load_metainfo(cls, metainfo: Optional[dict] = None) -> dict:
        """``metainfo`` as it is given; mmengine's own reads a text, such as a data set's name, as the file of that name."""
        return dict(cls.METAINFO, **(metainfo or {}))

    def load_data_list(self) -> List[dict]:
        """The images of the subset, few-shot where it is asked for, with labels 0 .. C - 1 within the subset.

        Raises:
            ValueError: there are none, or too few classes, or a label has no class.
            FileNotFoundError: a mask is missing.
        """
        names = self.class_names_by_label()
        labels = subset_labels(list(names), self.subset)
        if not labels:
            raise UserError(
                f'{self.data_root}: the subset {self.subset!r} has no classes; a base and a new half need at '
                f'least two classes, there are {len(names)}'
            )
        if self.split == 'train' and len(labels) == 1:
            raise UserError(
                f'{self.data_root}: the subset {self.subset!r} has one class, {names[labels[0]]!r}, and a '
                'classifier needs two'
            )
        position = {label: i for i, label in enumerate(labels)}
        drawn = self._draw(names)
        self._check_labels(drawn, names)
        chosen = [sample for sample in drawn if sample.label in position]
        if not chosen:
            raise UserError(
                f'{self.data_root}: the split {self.split!r} has no images of the subset {self.subset!r}'
            )
        self._metainfo.update(classes=tuple(names[label] for label in labels), subset=self.subset)
        self._metainfo.setdefault('branch', 'new' if self.subset == 'new' else 'base')
        root = Path(self.data_root)
        data_list = [dict(img_path=str(root / s.path), gt_label=position[s.label]) for s in chosen]
        if self.mask_root:
            for info, mask in zip(data_list, self._masks([s.path for s in chosen])):
                info['mask_path'] = mask
        return data_list

    def prepare_data(self, idx: int) -> dict:
        """Load an image by the random numbers that its index carries, see :func:`sample_randomness`."""
        with sample_randomness(idx):
            return super().prepare_data(idx)

    def _check_labels(self, samples: Sequence[Sample], names: Dict[int, str]) -> None:
        """Refuse labels without a class; tell of classes that are short of images, or that CLIP reads alike."""
        for path, label in samples:
            if label not in names:
                raise UserError(
                    f'{Path(self.data_root) / path} has the label {label}, but the labels of the {len(names)} '
                    f'classes are {min(names)} to {max(names)}; correct the label or the list of classes'
                )
        count = Counter(sample.label for sample in samples)
        wanted = self.num_shots or 1
        short = (
            [label for label in sorted(names) if count[label] < wanted]
            if self.split == 'train'
            else []
        )
        if short:
            log_once(
                f'{self.data_root}: {len(short)} of {len(names)} classes have fewer than {wanted} training images, the first '
                f'is {names[short[0]]!r} with {count[short[0]]}; all that there are is taken',
                logging.WARNING,
            )
        alike = alike_names(list(names.values()))
        if alike:
            log_once(f'{self.data_root}: {alike}', logging.WARNING)

    def _draw(self, names: Dict[int, str]) -> List[Sample]:
        if self.split == 'test':
            return self.samples('test')
        if self.subset_file:
            return self._given_subset(self.subset_file, names)
        if self.num_shots is None:
            return self.samples(self.split)
        splits = ('train', 'val') if self.split == 'val' else ('train',)
        return draw_subset(self.samples, self.num_shots, self.seed, splits)[self.split]

    def _given_subset(self, file: Path, names: Dict[int, str]) -> List[Sample]:
        """The split's list in ``file``, which must be of this data set and of ``num_shots`` images a class."""
        lists = read_lists(file, required=('train', 'val'))
        for path, label, name in (entry for entries in lists.values() for entry in entries):
            if names.get(label) != name:
                raise UserError(
                    f'{file} is of another data set: {path} has label {label} for {name!r}, which is '
                    f'{names.get(label)!r} below {self.data_root}'
                )
        shots = max(Counter(entry.label for entry in lists['train']).values(), default=0)
        if self.num_shots not in (None, shots):
            raise UserError(
                f'{file} has {shots} images a class, num_shots is {self.num_shots}; set '
                f'num_shots={shots} or take another file'
            )
        for path, count in Counter(entry.path for entry in lists[self.split]).items():
            if count > 1:
                raise UserError(f'{file} lists {path} {count} times in {self.split!r}')
            require(Path(self.data_root) / path, 'subset_file', 'a list of images that are there')
        return [Sample(entry.path, entry.label) for entry in lists[self.split]]

    def mask_path(self, path: str) -> str:
        """Where the mask of the image ``path`` lies; both are relative to ``data_root``."""
        assert self.mask_root is not None, 'without mask_root there are no masks'
        mask = PurePosixPath(self.mask_root) / path
        return str(mask.with_suffix(self.mask_suffix) if self.mask_suffix else mask)

    def _masks(self, paths: Sequence[str]) -> List[Optional[str]]:
        masks = [Path(self.data_root) / self.mask_path(path) for path in paths]
        missing = [mask for mask in masks if not mask.is_file()]
        if missing and self.missing_mask == 'error':
            raise MissingFileError(
                f'{len(missing)} of {len(masks)} foreground masks are missing, the first is {missing[0]}; check mask_root and '
                "mask_suffix, or set missing_mask='full' to train without them"
            )
        if missing:
            print_log(
                f'{len(missing)} of {len(masks)} foreground masks are missing below {self.data_root}/{self.mask_root}; '
                'the whole image counts as foreground there, which the gate does not trust',
                'current',
                level=30,
            )
        absent = set(missing)
        images = [Path(self.data_root) / path for path in paths]
        check_masks(
            str(self.data_root),
            [(image, mask) for image, mask in zip(images, masks) if mask not in absent],
        )
        return [None if mask in absent else str(mask) for mask in masks]


def require(path: Path, key: str, what: str) -> None:
    """Raise a FileNotFoundError that names ``path`` and the config key to change, unless it exists."""
    if not path.exists():
        raise MissingFileError(f'{path} does not exist: {key} must be {what}')
