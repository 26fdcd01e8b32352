"""Data sets given by a list of images: a CSV file, a JSON list of objects, or a split file."""

import csv
import io
import os
from collections import Counter
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from ..io.errors import MissingFileError, UserError
from ..io.json_file import read_json
from ..io.require_path import require_path
from ..io.text_file import read_text
from ..registry import DATASETS
from .class_folder import share_of_class
from .few_shot import FewShotDataset
from .image_lists import Sample, check_relative, read_lists

# accepted name of a split (or of its folder) -> split
SPLIT_NAMES = dict(
    train='train',
    training='train',
    val='val',
    valid='val',
    validation='val',
    test='test',
    testing='test',
)
_COLUMNS = (('image', 'class'), ('split', 'mask'))  # required, optional
KEYS = (*_COLUMNS[0], *_COLUMNS[1])
FORMATS = (
    'a CSV file with the columns image, class and, optionally, split and mask; a JSON list of '
    'objects with these keys; or a split file {"train": [[image, label, class], ...], "test": ...}'
)


class Listed(NamedTuple):
    """One image of a list.

    Attributes:
        where: its line or entry, for messages.
        image: path relative to the folder of the list.
        key: what distinguishes its class from others: the label if the list has labels, else the
            class name.
        name: class name.
        split: ``train``, ``val`` or ``test``; None if the list has no splits.
        mask: path relative to the folder of the list; None if no mask is listed.
    """

    where: str
    image: str
    key: Union[str, int]
    name: str
    split: Optional[str]
    mask: Optional[str]


@DATASETS.register_module()
class ListFileDataset(FewShotDataset):
    """Images in a list, by paths relative to the folder of the list.

    The list is one of

    - CSV (comma, semicolon or tab) with the header ``image, class[, split][, mask]``;
    - JSON ``[{"image": ..., "class": ...}, ...]`` with the same keys;
    - a public split file ``{"train": [[image, label, class], ...], "test": ...}``.

    Other columns are ignored. ``split`` is ``train``, ``val`` or ``test``. If there is no ``test``,
    ``val`` is used as test split. If there are no splits, ``test_fraction`` of each class is the
    test split, as in :class:`~fvgpt.datasets.class_folder.ClassFolderDataset`. Labels follow the
    sorted class names, or the labels of the split file.

    Args:
        data_root, list_file: the list is ``data_root/list_file``.
        test_fraction: see above.
        mask_root: for the images whose ``mask`` is empty; not needed for training if the list has
            masks.
        others: see :class:`~fvgpt.datasets.few_shot.FewShotDataset`.

    Raises:
        MissingFileError: listed images do not exist; names their number and the first.
        UserError: the list is invalid; names file, line and reason.
    """

    list_format = FORMATS  # in the message of a missing list

    def __init__(self, data_root: str, list_file: str, test_fraction: float = 0.3, **kwargs):
        if not 0 < test_fraction < 1:
            raise UserError(f'test_fraction must lie between 0 and 1, not {test_fraction}')
        self.list_file, self.test_fraction = list_file, test_fraction
        super().__init__(data_root=data_root, **kwargs)

    def check_files(self, root: Path) -> None:
        """Check that the list exists and is valid, and that the images of the split exist."""
        super().check_files(root)
        path = root / self.list_file
        require_path(path, 'list_file', f'{self.list_format}; relative to data_root')
        entries = self.read_list(path)
        check_entries(path, entries)
        of_split = [entry for entry in entries if entry.split in (None, self.split)]
        _check_exist(path, [(entry.where, entry.image) for entry in of_split], 'image')
        if self.split == 'train' and self.missing_mask == 'error':
            masks = [(entry.where, entry.mask) for entry in of_split if entry.mask]
            _check_exist(path, masks, 'mask')

    def read_list(self, path: Path) -> List[Listed]:
        """Read all entries of a list; see :func:`read_list`."""
        return read_list(path)

    def _entries(self) -> List[Listed]:
        return self.read_list(Path(self.data_root) / self.list_file)

    def _from_root(self, path: str) -> str:
        """A listed path relative to the data root instead of the folder of the list."""
        return (PurePosixPath(self.list_file).parent / path).as_posix()

    def class_names_by_label(self) -> Dict[int, str]:
        """Label -> class name of the classes in the list, sorted."""
        names = {entry.key: entry.name for entry in self._entries()}
        return {label: names[key] for label, key in enumerate(sorted(names))}

    def samples(self, split: str) -> List[Sample]:
        """The images of a split, drawn from all images if the list has no splits."""
        entries = self._entries()
        labels = {key: label for label, key in enumerate(sorted({entry.key for entry in entries}))}
        if entries[0].split is None:
            return self._drawn_samples(entries, labels, split)
        return [
            Sample(self._from_root(entry.image), labels[entry.key])
            for entry in entries
            if entry.split == split
        ]

    def _drawn_samples(
        self, entries: Sequence[Listed], labels: Dict[Union[str, int], int], split: str
    ) -> List[Sample]:
        images: Dict[Union[str, int], List[str]] = {key: [] for key in labels}
        for entry in entries:
            images[entry.key].append(entry.image)
        samples = []
        for key, label in labels.items():
            for image in share_of_class(sorted(images[key]), split, self.test_fraction):
                samples.append(Sample(self._from_root(image), label))
        return samples

    # ------------------------------------------------------------------ masks
    @cached_property
    def listed_masks(self) -> Dict[str, str]:
        """Image path -> mask path of the listed masks, both relative to the data root."""
        return {
            self._from_root(entry.image): self._from_root(entry.mask)
            for entry in self._entries()
            if entry.mask
        }

    def load_data_list(self) -> List[dict]:
        """As in the base class, with the listed masks even if ``mask_root`` is not set."""
        if self.split == 'train' and self.listed_masks and not self.mask_root:
            self.mask_root = 'mask'  # default folder for images without a listed mask
        return super().load_data_list()

    def mask_path(self, path: str) -> str:
        """The mask that the list has for an image, otherwise its path in ``mask_root``."""
        return self.listed_masks.get(path) or super().mask_path(path)


def read_list(path: Path) -> List[Listed]:
    """Read all entries of a list. ``split`` is None in all entries if the list has no splits.

    Raises:
        UserError: the list is invalid; names file, line or entry, and reason.
    """
    status = path.stat()
    return _read_list(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _read_list(path: Path, *version: int) -> List[Listed]:
    """``version`` is part of the cache key only: a file that has changed is read again."""
    is_json = path.suffix.lower() == '.json'
    content = read_json(path) if is_json else None
    if isinstance(content, dict):
        entries = list(_split_file_entries(path))
    else:
        rows = _json_rows(path, content) if is_json else csv_rows(path, read_text(path), *_COLUMNS)
        entries = [_entry(path, where, row) for where, row in rows]
    if any(entry.split == 'test' for entry in entries):
        return entries
    return [entry._replace(split='test') if entry.split == 'val' else entry for entry in entries]


def csv_rows(
    path: Path, text: str, required: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[Tuple[str, Dict[str, str]]]:
    """Yield (line for messages, column -> cell) of each row of a CSV file.

    Args:
        path: the file, for messages.
        text: its content, with commas, semicolons or tabs.
        required: columns that it must have, in lower case.
        optional: columns that it may have, for the message.

    Raises:
        UserError: a column is missing, or a row is invalid; names file and line.
    """
    delimiter = max(',;\t', key=text.partition('\n')[0].count)
    reader = csv.reader(io.StringIO(text, newline=''), delimiter=delimiter)
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        if not set(required) <= set(header):
            may = f', and may have {_and(optional)}' if optional else ''
            raise UserError(
                f'{path}, line 1: the header must have the columns {_and(required)}{may}; '
                f'it has {", ".join(map(repr, header)) or "nothing"}'
            )
        for row in reader:
            if not any(row):
                continue
            if len(row) != len(header):
                raise UserError(
                    f'{path}, line {reader.line_num}: {len(row)} cells, but the header has '
                    f'{len(header)}'
                )
            yield f'line {reader.line_num}', dict(zip(header, row))
    except csv.Error as error:
        raise UserError(f'{path}, line {reader.line_num}: {error}') from error


def _and(names: Sequence[str]) -> str:
    return f'{", ".join(names[:-1])} and {names[-1]}'


def _json_rows(path: Path, content) -> Iterator[Tuple[str, dict]]:
    """Yield (entry for messages, object) of each entry."""
    if not isinstance(content, list):
        raise UserError(f'{path} does not contain a list; expected {FORMATS}')
    for number, row in enumerate(content, 1):
        if not isinstance(row, dict) or not all(
            isinstance(row.get(key) or '', str) for key in KEYS
        ):
            raise UserError(
                f'{path}, entry {number}: expected an object with texts for "image", "class" and, '
                f'optionally, "split" and "mask", not {str(row)[:80]}'
            )
        yield f'entry {number}', row


def _entry(path: Path, where: str, row: dict) -> Listed:
    cells = {key: (row.get(key) or '').strip() for key in KEYS}
    for key in ('image', 'class', *(['split'] if 'split' in row else [])):
        if not cells[key]:
            raise UserError(f'{path}, {where}: {key} is empty')
    split = SPLIT_NAMES.get(cells['split'].lower())
    if cells['split'] and split is None:
        raise UserError(
            f'{path}, {where}: the split {cells["split"]!r} is not one of train, val and test'
        )
    image = normalised(path, where, cells['image'])
    mask = normalised(path, where, cells['mask']) if cells['mask'] else None
    return Listed(where, image, cells['class'], cells['class'], split, mask)


def _split_file_entries(path: Path) -> Iterator[Listed]:
    names: Dict[int, str] = {}
    for split, entries in read_lists(path, required=('train',)).items():
        for number, (image, label, name) in enumerate(entries, 1):
            where = f'entry {number} of "{split}"'
            if names.setdefault(label, name) != name:
                raise UserError(
                    f'{path}, {where}: label {label} is called both {names[label]!r} and {name!r}'
                )
            yield Listed(where, normalised(path, where, image), label, name, split, None)


def normalised(path: Path, where: str, listed: str) -> str:
    """A listed path without ``./`` and double slashes, checked by :func:`check_relative`."""
    return PurePosixPath(check_relative(listed, f'{path}, {where}:')).as_posix()


def check_entries(path: Path, entries: Sequence[Listed]) -> None:
    """Check that a list can be used for training and testing.

    Args:
        path: the list, for messages.
        entries: its entries.

    Raises:
        UserError: there is no image or only one class; an image is listed twice; only some images
            have a split; a split has no images; or a class has no training image (with splits) or
            only one image (without splits).
    """
    if not entries:
        raise UserError(f'{path} lists no images; expected {FORMATS}')
    _check_duplicates(path, entries)
    if len({entry.key for entry in entries}) < 2:
        raise UserError(f'{path} has one class, {entries[0].name!r}; a classifier needs two')
    if entries[0].split is None:
        _check_two_images_per_class(path, entries)
    else:
        _check_splits(path, entries)


def _check_duplicates(path: Path, entries: Sequence[Listed]) -> None:
    first: Dict[str, Listed] = {}
    for entry in entries:
        before = first.setdefault(entry.image, entry)
        if before is not entry:
            leak = ' and would be trained and tested on' if before.split != entry.split else ''
            raise UserError(
                f'{path}, {entry.where}: {entry.image} is listed again, first in '
                f'{before.where}{leak}; remove one of them'
            )
        if (entry.split is None) != (entries[0].split is None):
            raise UserError(f'{path}, {entry.where}: give a split for every image or for none')


def _check_two_images_per_class(path: Path, entries: Sequence[Listed]) -> None:
    images = Counter(entry.key for entry in entries)
    for entry in entries:
        if images[entry.key] < 2:
            raise UserError(
                f'{path}, {entry.where}: {entry.image} is the only image of the class '
                f'{entry.name!r}; a train and a test split need two'
            )


def _check_splits(path: Path, entries: Sequence[Listed]) -> None:
    for split in ('train', 'test'):
        if not any(entry.split == split for entry in entries):
            raise UserError(f'{path} has no image of the split {split!r}')
    trained = {entry.key for entry in entries if entry.split == 'train'}
    for entry in entries:
        if entry.key not in trained:
            raise UserError(
                f'{path}, {entry.where}: the class {entry.name!r} has no training image'
            )


def _check_exist(path: Path, listed: Sequence[Tuple[str, str]], what: str) -> None:
    """Check that listed files exist.

    Lists each folder once, because a stat call per file takes minutes on network disks.

    Args:
        path: the list.
        listed: (line or entry, path relative to the folder of the list) of each file.
        what: kind of the files, for the message.
    """
    folders = {os.path.dirname(file) for _, file in listed}
    names = {}
    for name in folders:
        folder = path.parent / name
        names[name] = set(os.listdir(folder)) if folder.is_dir() else set()
    missing = [
        (where, file)
        for where, file in listed
        if os.path.basename(file) not in names[os.path.dirname(file)]
    ]
    if missing:
        where, file = missing[0]
        raise MissingFileError(
            f'{path}: {len(missing)} of {len(listed)} {what}s do not exist, the first is in '
            f'{where}: {path.parent / file}; paths are relative to the folder of the list'
        )
