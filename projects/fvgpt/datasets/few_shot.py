"""Few-shot data sets with a base and a new half of the classes, and foreground masks."""
import random
from abc import abstractmethod
from pathlib import Path, PurePosixPath
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from mmengine.logging import print_log
from mmpretrain.datasets import BaseDataset

SPLITS = ('train', 'val', 'test')
SUBSETS = ('all', 'base', 'new')
MISSING_MASK = ('error', 'full')
VAL_SHOTS = 4  # the public protocol never takes more than four validation images a class


class Sample(NamedTuple):
    """path: of the image, relative to the data root, with forward slashes. label: in the whole data set."""
    path: str
    label: int


def sample_shots(samples: Sequence[Sample], num_shots: int, rng: random.Random) -> List[Sample]:
    """``num_shots`` samples of each class, all of them where there are fewer.

    Classes stand in the order of their first sample and samples in the order drawn, as CoOp's code has it (method
    section 3.1), so ``random.Random(seed)`` gives the public few-shot subsets exactly.
    """
    by_label: Dict[int, List[Sample]] = {}
    for sample in samples:
        by_label.setdefault(sample.label, []).append(sample)
    return [drawn for items in by_label.values()
            for drawn in (rng.sample(items, num_shots) if len(items) >= num_shots else items)]


def subset_labels(labels: Sequence[int], subset: str) -> List[int]:
    """Labels of a subset, sorted: the first ceil(n / 2) are ``base``, the others ``new`` (method section 3.2)."""
    labels = sorted(set(labels))
    half = (len(labels) + 1) // 2
    return dict(all=labels, base=labels[:half], new=labels[half:])[subset]


def check_relative(path: str, source: str) -> str:
    """``path``, refused when it is absolute or climbs out of its root.

    Raises:
        ValueError: names the file it was read from.
    """
    parts = PurePosixPath(path)
    if parts.is_absolute() or '..' in parts.parts or '\\' in path or ':' in path.split('/')[0]:
        raise ValueError(f'{source} lists the image {path!r}; paths must be relative and stay below the image folder')
    return path


def _choice(key: str, value: str, choices: Tuple[str, ...]) -> str:
    if value not in choices:
        raise ValueError(f'{key} must be one of {", ".join(choices)}, not {value!r}')
    return value


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
        missing_mask: ``error`` names the first missing file; ``full`` counts them, warns once and takes the whole image
            for foreground, which the gate then does not trust (decisions O2, O3).
        metainfo, pipeline, test_mode, lazy_init and the rest: as in mmpretrain. ``metainfo=dict(branch='new')``
            evaluates a target data set by the new branch.

    Raises:
        FileNotFoundError: the data root or something below it is missing; says what, and which key to change.
    """

    def __init__(self, data_root: str, split: str = 'train', subset: str = 'all', num_shots: Optional[int] = None,
                 seed: int = 1, mask_root: Optional[str] = None, mask_suffix: Optional[str] = None,
                 missing_mask: str = 'error', **kwargs):
        self.split = _choice('split', split, SPLITS)
        self.subset = _choice('subset', subset, SUBSETS)
        self.missing_mask = _choice('missing_mask', missing_mask, MISSING_MASK)
        if num_shots is not None and num_shots < 1:
            raise ValueError(f'num_shots must be at least 1, not {num_shots}')
        self.num_shots, self.seed = num_shots, seed
        self.mask_root, self.mask_suffix = mask_root, mask_suffix
        self.check_files(Path(data_root).expanduser())
        super().__init__(ann_file='', data_root=str(Path(data_root).expanduser()), **kwargs)

    # ------------------------------------------------------------------ what a sub-class says
    def check_files(self, root: Path) -> None:
        """Fail in the first second when something is not there; sub-classes add their own files."""
        require(root, 'data_root', 'the folder with the data sets')
        if self.mask_root and self.split == 'train' and self.missing_mask == 'error':
            require(root / self.mask_root, 'mask_root', 'the folder with the foreground masks (without masks: '
                    "missing_mask='full', or generate them)")

    @abstractmethod
    def class_names_by_label(self) -> Dict[int, str]:
        """Names of all classes of the data set."""

    @abstractmethod
    def samples(self, split: str) -> List[Sample]:
        """All images of a split, in the order that the few-shot draw sees."""

    # ------------------------------------------------------------------ mmengine's side
    def load_data_list(self) -> List[dict]:
        names = self.class_names_by_label()
        labels = subset_labels(list(names), self.subset)
        if not labels:
            raise ValueError(f'{self.data_root}: the subset {self.subset!r} has no classes; a base and a new half need at '
                             f'least two classes, there are {len(names)}')
        position = {label: i for i, label in enumerate(labels)}
        chosen = [sample for sample in self._draw() if sample.label in position]
        if not chosen:
            raise ValueError(f'{self.data_root}: the split {self.split!r} has no images of the subset {self.subset!r}')
        self._metainfo.update(classes=tuple(names[label] for label in labels), subset=self.subset)
        self._metainfo.setdefault('branch', 'new' if self.subset == 'new' else 'base')
        root = Path(self.data_root)
        data_list = [dict(img_path=str(root / s.path), gt_label=position[s.label]) for s in chosen]
        if self.mask_root:
            for info, mask in zip(data_list, self._masks([s.path for s in chosen])):
                info['mask_path'] = mask
        return data_list

    def _draw(self) -> List[Sample]:
        if self.num_shots is None or self.split == 'test':
            return self.samples(self.split)
        rng = random.Random(self.seed)
        drawn = sample_shots(self.samples('train'), self.num_shots, rng)
        if self.split == 'val':  # drawn after train from the same stream, as the public subsets were
            drawn = sample_shots(self.samples('val'), min(self.num_shots, VAL_SHOTS), rng)
        return drawn

    def _masks(self, paths: Sequence[str]) -> List[Optional[str]]:
        root = Path(self.data_root) / self.mask_root
        masks = [root / (PurePosixPath(path).with_suffix(self.mask_suffix) if self.mask_suffix else path)
                 for path in paths]
        missing = [mask for mask in masks if not mask.is_file()]
        if missing and self.missing_mask == 'error':
            raise FileNotFoundError(
                f'{len(missing)} of {len(masks)} foreground masks are missing, the first is {missing[0]}; check mask_root and '
                "mask_suffix, or set missing_mask='full' to train without them")
        if missing:
            print_log(f'{len(missing)} of {len(masks)} foreground masks are missing below {root}; the whole image counts as '
                      'foreground there, which the gate does not trust', 'current', level=30)
        absent = set(missing)
        return [None if mask in absent else str(mask) for mask in masks]


def require(path: Path, key: str, what: str) -> None:
    """Raise a FileNotFoundError that names ``path`` and the config key to change, unless it exists."""
    if not path.exists():
        raise FileNotFoundError(f'{path} does not exist: {key} must be {what}')
