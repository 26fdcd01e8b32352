"""Find out how a user's images and masks are stored: class folders or a list, with which masks."""

from pathlib import Path, PurePosixPath
from typing import Dict, List, NamedTuple, Optional

from ..io.errors import MissingMaskError, UserError
from ..io.require_path import require_path
from .class_folder import ClassFolderDataset
from .few_shot import FewShotDataset
from .image_lists import files_below
from .list_file import SPLIT_NAMES, ListFileDataset

LIST_SUFFIXES = ('.csv', '.json')
MASK_FOLDERS = ('mask', 'masks')
EXPECTED = (
    'one folder per class with its images in it, such folders in train/ and test/, or a list of '
    'images (.csv, .json)'
)


class Masks(NamedTuple):
    """The masks that were found for the images of a split.

    Attributes:
        folder: mask folder relative to the data root; None if no folder has masks of these images.
        suffix: suffix of the mask files; None if it is the image's.
        found: number of images that have a mask.
        images: number of images.
    """

    folder: Optional[str]
    suffix: Optional[str]
    found: int
    images: int


class OwnFolders(ClassFolderDataset):
    """Class folders that may have a folder of masks, which is not a class, next to them."""

    not_classes = MASK_FOLDERS
    listed_masks: Dict[str, str] = {}


def find_source(given: Path, **settings) -> FewShotDataset:
    """Find the data set that can read what is stored at ``given``.

    Args:
        given: file or folder of the user.
        settings: further arguments of the data set.

    Raises:
        MissingFileError: ``given`` does not exist.
        UserError: it is not a list of images and has no class folders.
    """
    require_path(given, 'data_root', EXPECTED)
    if given.is_file():
        if given.suffix.lower() not in LIST_SUFFIXES:
            raise UserError(
                f'{given} is not a list of images (.csv, .json); data_root must be {EXPECTED}'
            )
        return _list_data_set(given, settings)
    inside = [entry for entry in sorted(given.iterdir()) if not entry.name.startswith('.')]
    lists = [entry for entry in inside if entry.suffix.lower() in LIST_SUFFIXES and entry.is_file()]
    if len(lists) > 1:
        raise UserError(
            f'{given} contains {len(lists)} lists: {", ".join(entry.name for entry in lists)}; '
            'give one of them as data_root, with training and test images in it (column split)'
        )
    if lists:
        return _list_data_set(lists[0], settings)
    return _folder_data_set(given, [entry.name for entry in inside if entry.is_dir()], settings)


def _list_data_set(path: Path, settings: dict) -> ListFileDataset:
    return ListFileDataset(data_root=str(path.parent), list_file=path.name, **settings)


def _folder_data_set(given: Path, names: List[str], settings: dict) -> OwnFolders:
    """Class folders in ``given``, or in one folder per split if it has these."""
    names = [name for name in names if name.lower() not in MASK_FOLDERS]
    if not names:
        raise UserError(f'{given} has no class folders; data_root must be {EXPECTED}')
    folders = {SPLIT_NAMES[name.lower()]: name for name in names if name.lower() in SPLIT_NAMES}
    if 'val' in folders:
        folders.setdefault('test', folders['val'])
    has_splits = {'train', 'test'} <= set(folders)
    return OwnFolders(data_root=str(given), folders=folders if has_splits else None, **settings)


def find_masks(source: FewShotDataset, mask_root: str, mask_suffix: Optional[str]) -> Masks:
    """Find the mask folder and suffix for which most images of the split have a mask.

    Args:
        source: an ``OwnFolders`` or ``ListFileDataset``.
        mask_root, mask_suffix: see :class:`~fvgpt.datasets.own_images.OwnImages`.

    Raises:
        MissingMaskError: no image has a mask although there is a mask folder or ``missing_mask`` is
            ``error``.
    """
    root, listed = Path(source.data_root), source.listed_masks
    images = [sample.path for sample in source.samples(source.split)]
    num_listed = sum((root / listed[image]).is_file() for image in images if image in listed)
    folders = _mask_folders(root, mask_root)
    best = Masks(None, mask_suffix, num_listed, len(images))
    for folder in folders:
        present = set(files_below(root / folder, root / folder))
        for suffix in [mask_suffix] if mask_suffix else [None, '.png']:
            expected = [
                PurePosixPath(image).with_suffix(suffix).as_posix() if suffix else image
                for image in images
                if image not in listed
            ]
            found = num_listed + sum(mask in present for mask in expected)
            if found > best.found:
                best = best._replace(folder=folder, suffix=suffix, found=found)
    if not best.found and (folders or source.missing_mask == 'error'):
        place = root / (folders[0] if folders else MASK_FOLDERS[0])
        raise MissingMaskError(
            f'no {source.split} image has a foreground mask; the mask of {root / images[0]} must '
            f'be {place / images[0]}, or the same with the suffix .png or mask_suffix'
        )
    return best


def _mask_folders(root: Path, mask_root: str) -> List[str]:
    """Folders in ``root`` to search for masks."""
    if mask_root != 'auto':
        require_path(
            root / mask_root,
            'mask_root',
            "the folder of masks, relative to data_root, or 'auto'",
            MissingMaskError,
        )
        return [mask_root]
    return sorted(
        entry.name
        for entry in root.iterdir()
        if entry.is_dir() and entry.name.lower() in MASK_FOLDERS
    )
