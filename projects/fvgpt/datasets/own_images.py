"""Somebody's own images, given nothing but where they lie."""

import logging
from pathlib import Path, PurePosixPath
from typing import Dict, List, NamedTuple, Optional, Sequence

from ..io.errors import MissingFileError, UserError
from ..io.log_once import log_once
from ..registry import DATASETS
from .class_folder import ClassFolderDataset
from .few_shot import FewShotDataset, require
from .image_lists import Sample, files_below
from .list_file import SPLIT_NAMES, ListFileDataset
from .load_image import glance

LIST_SUFFIXES = ('.csv', '.json')
MASK_FOLDERS = ('mask', 'masks')
EXPECTED = 'one folder a class with its images in it, such folders below train/ and test/, or a list of images (.csv, .json)'


class Masks(NamedTuple):
    """Where masks were found. folder: relative to the data root. suffix: None for the image's. images: of the split. found: of
    those with a mask."""

    folder: Optional[str]
    suffix: Optional[str]
    found: int
    images: int


class OwnFolders(ClassFolderDataset):
    """Class folders with a folder of masks beside them, which is no class."""

    not_classes = MASK_FOLDERS
    listed_masks: Dict[str, str] = {}


@DATASETS.register_module()
class OwnImages(FewShotDataset):
    """A folder of class folders or a list of images, whichever is found at ``data_root``, with or without masks.

    - A ``.csv`` or ``.json`` file, or a folder with one such file in it: see
      :class:`~fvgpt.datasets.list_file.ListFileDataset`.
    - A folder with ``train`` and ``test`` (or ``val``, ``validation``): class folders below each.
    - Any other folder: class folders; ``test_fraction`` of each class is the test split, always the same images.

    Masks lie in ``mask`` or ``masks`` there, at the image's path relative to the folder, with its suffix or ``.png``.

    Args:
        data_root: the folder or list.
        test_fraction: see above.
        mask_root: ``auto`` for the above; or a folder of masks; None loads none.
        mask_suffix: of the masks where it differs from the image's and is not ``.png``.
        missing_mask: ``full`` takes the whole image for foreground where there is no mask, ``error`` refuses it.
        others: see :class:`~fvgpt.datasets.few_shot.FewShotDataset`.

    Raises:
        FileNotFoundError: no such folder or list, or a mask folder without a single mask of the training images.
        ValueError: what is there is neither, or has no images, or one class, or files that are no images.
    """

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        test_fraction: float = 0.3,
        mask_root: Optional[str] = None,
        mask_suffix: Optional[str] = None,
        missing_mask: str = 'full',
        **kwargs,
    ):
        given = Path(data_root).expanduser()
        self.source = find_source(
            given,
            split=split,
            test_fraction=test_fraction,
            missing_mask=missing_mask,
            lazy_init=True,
        )
        names = self.source.class_names_by_label()
        if len(names) < 2:
            raise UserError(
                f'{given} has one class, {names[0]!r}, and a classifier needs two; data_root must be {EXPECTED}'
            )
        counts = {part: len(self.source.samples(part)) for part in ('train', 'test')}
        log_once(
            f'{given}: {_kind(self.source)}, {len(names)} classes, {counts["train"]} images to train on, {counts["test"]} to '
            'test on'
        )
        self.has_masks = False
        if mask_root:
            masks = find_masks(self.source, mask_root, mask_suffix)
            self.has_masks = masks.found > 0
            _tell_masks(Path(self.source.data_root), split, masks)
            self.source.mask_root, self.source.mask_suffix = (
                masks.folder or MASK_FOLDERS[0],
                masks.suffix,
            )
            mask_root, mask_suffix = masks.folder or '.', masks.suffix
        super().__init__(
            data_root=self.source.data_root,
            split=split,
            mask_root=mask_root,
            mask_suffix=mask_suffix,
            missing_mask=missing_mask,
            **kwargs,
        )
        self._check_readable([sample.path for sample in self._draw(names)])

    def _check_readable(self, paths: Sequence[str]) -> None:
        # before training, not when its end comes to the test images
        seen = {path: glance(Path(self.data_root) / path) for path in paths}
        broken = [path for path in paths if not seen[path].whole]
        if broken:
            raise UserError(
                f'{len(broken)} of {len(paths)} {self.split} images cannot be read, the first is '
                f'{Path(self.data_root) / broken[0]}; replace or remove them'
            )
        turned = [path for path in paths if seen[path].turned]
        if turned:
            log_once(
                f'{len(turned)} of {len(paths)} {self.split} images are to be turned by their EXIF tag, the first is '
                f'{Path(self.data_root) / turned[0]}; it is ignored, as CLIP does: turn them first (exiftran -ai, '
                'mogrify -auto-orient)',
                logging.WARNING,
            )

    def class_names_by_label(self) -> Dict[int, str]:
        """The classes of what was found."""
        return self.source.class_names_by_label()

    def samples(self, split: str) -> List[Sample]:
        """The images of a split of what was found."""
        return self.source.samples(split)

    def prepare_data(self, idx: int):
        """Load an image.

        Raises:
            ValueError: it cannot be read; names it.
        """
        try:
            return super().prepare_data(idx)
        except OSError as error:  # an image that is cut off; the error itself names no file
            raise UserError(
                f'{self.get_data_info(idx)["img_path"]} cannot be read as an image: {error}'
            ) from error

    def mask_path(self, path: str) -> str:
        """Where the mask of an image of what was found lies."""
        return self.source.mask_path(path)

    def _masks(self, paths: Sequence[str]) -> List[Optional[str]]:
        return super()._masks(paths) if self.has_masks else [None] * len(paths)


def find_source(given: Path, **settings) -> FewShotDataset:
    """The data set that reads what lies at ``given``; ``settings`` go to it.

    Raises:
        FileNotFoundError, ValueError: nothing is there, or nothing that can be read as a data set.
    """
    require(given, 'data_root', EXPECTED)
    if given.is_file():
        if given.suffix.lower() not in LIST_SUFFIXES:
            raise UserError(
                f'{given} is no list of images (.csv, .json); data_root must be {EXPECTED}'
            )
        lists = [given]
    else:
        inside = [entry for entry in sorted(given.iterdir()) if not entry.name.startswith('.')]
        lists = [
            entry for entry in inside if entry.suffix.lower() in LIST_SUFFIXES and entry.is_file()
        ]
    if len(lists) > 1:
        raise UserError(
            f'{given} holds {len(lists)} lists: {", ".join(entry.name for entry in lists)}; give one of them as '
            'data_root, with training and test images in it (column split)'
        )
    if lists:
        return ListFileDataset(data_root=str(lists[0].parent), list_file=lists[0].name, **settings)
    below = [
        entry.name for entry in inside if entry.is_dir() and entry.name.lower() not in MASK_FOLDERS
    ]
    if not below:
        raise UserError(f'{given} has no class folders; data_root must be {EXPECTED}')
    folders = {SPLIT_NAMES[name.lower()]: name for name in below if name.lower() in SPLIT_NAMES}
    if 'val' in folders:
        folders.setdefault('test', folders['val'])
    return OwnFolders(
        data_root=str(given),
        folders=folders if {'train', 'test'} <= set(folders) else None,
        **settings,
    )


def find_masks(source: FewShotDataset, mask_root: str, mask_suffix: Optional[str]) -> Masks:
    """Where the masks of a split's images are: the folder and suffix that most of them have.

    Args:
        source: an ``OwnFolders`` or ``ListFileDataset``.
        mask_root, mask_suffix: see :class:`OwnImages`.

    Raises:
        FileNotFoundError: no image has a mask, though there is a mask folder, or masks must not be missing.
    """
    root, listed = Path(source.data_root), source.listed_masks
    images = [sample.path for sample in source.samples(source.split)]
    in_list = sum((root / listed[image]).is_file() for image in images if image in listed)
    if mask_root == 'auto':
        folders = sorted(
            entry.name
            for entry in root.iterdir()
            if entry.is_dir() and entry.name.lower() in MASK_FOLDERS
        )
    else:
        require(
            root / mask_root, 'mask_root', "the folder of masks, relative to data_root, or 'auto'"
        )
        folders = [mask_root]
    best = Masks(None, mask_suffix, in_list, len(images))
    for folder in folders:
        present = set(files_below(root / folder, root / folder))
        for suffix in [mask_suffix] if mask_suffix else [None, '.png']:
            mirrored = [
                PurePosixPath(image).with_suffix(suffix).as_posix() if suffix else image
                for image in images
                if image not in listed
            ]
            count = in_list + sum(mask in present for mask in mirrored)
            if count > best.found:
                best = best._replace(folder=folder, suffix=suffix, found=count)
    if not best.found and (folders or source.missing_mask == 'error'):
        place = root / (folders[0] if folders else MASK_FOLDERS[0])
        raise MissingFileError(
            f'no {source.split} image has a foreground mask; the mask of {root / images[0]} must be '
            f'{place / images[0]}, or the same with the suffix .png or mask_suffix'
        )
    return best


def _kind(source: FewShotDataset) -> str:
    if isinstance(source, ListFileDataset):
        return f'list {source.list_file}'
    return (
        f'class folders in {source.folders["train"]}/ and {source.folders["test"]}/'
        if source.folders
        else 'class folders'
    )


def _tell_masks(root: Path, split: str, masks: Masks) -> None:
    if masks.found:
        rest = (
            ''
            if masks.found == masks.images
            else '; where there is none, the whole image counts as foreground'
        )
        log_once(
            f'{root}: foreground masks of {masks.found} of {masks.images} {split} images{rest}'
        )
    else:
        command = f'python tools/generate_foreground.py {root} --out {root / MASK_FOLDERS[0]} --suffix .png'
        log_once(
            f'{root}: no foreground masks, for there is no folder mask or masks. Training goes on without them: FDC learns '
            f'from the full view only. To make masks: {command}',
            logging.WARNING,
        )
