"""Data sets given by a list of images: a CSV file, a JSON list of objects, or a public split file."""

import csv
import io
import os
from collections import Counter
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from ..io.errors import MissingFileError, UserError
from ..io.json_file import read_json
from ..io.text_file import read_text
from ..registry import DATASETS
from .class_folder import share_of_class
from .few_shot import FewShotDataset, require
from .image_lists import Sample, check_relative, read_lists

SPLIT_NAMES = dict(
    train='train',
    training='train',
    val='val',
    valid='val',
    validation='val',
    test='test',
    testing='test',
)
KEYS = ('image', 'class', 'split', 'mask')
FORMATS = (
    'a CSV file with the columns image, class and, if wanted, split and mask; a JSON list of objects with these keys; '
    'or a split file {"train": [[image, label, class], ...], "test": ...}'
)


class Listed(NamedTuple):
    """One image of a list. where: its line or entry. key: what classes are told apart by. image, mask: as listed."""

    where: str
    image: str
    key: Union[str, int]
    name: str
    split: Optional[str]
    mask: Optional[str]


@DATASETS.register_module()
class ListFileDataset(FewShotDataset):
    """Images in a list, by paths relative to the folder of the list.

    CSV (comma, semicolon or tab) with the header ``image, class[, split][, mask]``; JSON ``[{"image": ..., "class": ...},
    ...]`` with the same keys; or the public ``{"train": [[image, label, class], ...], "test": ...}``. Other columns are
    ignored. ``split`` is ``train``, ``val`` or ``test``; without a ``test``, ``val`` is it; without any, ``test_fraction`` of
    each class is, as in :class:`~fvgpt.datasets.class_folder.ClassFolderDataset`. Classes are in the order of their names, or
    of their labels.

    Args:
        data_root, list_file: the list is ``data_root/list_file``.
        test_fraction: see above.
        mask_root: for the images whose ``mask`` is empty; a list with masks needs none for training.
        others: see :class:`~fvgpt.datasets.few_shot.FewShotDataset`.

    Raises:
        FileNotFoundError: listed images that are not there: how many, and the first.
        ValueError: names file, line and what is wrong with it.
    """

    def __init__(self, data_root: str, list_file: str, test_fraction: float = 0.3, **kwargs):
        if not 0 < test_fraction < 1:
            raise UserError(f'test_fraction must lie between 0 and 1, not {test_fraction}')
        self.list_file, self.test_fraction = list_file, test_fraction
        super().__init__(data_root=data_root, **kwargs)

    def check_files(self, root: Path) -> None:
        """The list must be there, be readable, and name images that are there."""
        super().check_files(root)
        require(root / self.list_file, 'list_file', f'{FORMATS}; relative to data_root')
        path = root / self.list_file
        entries = read_list(path)
        check_entries(path, entries)
        mine = [entry for entry in entries if entry.split in (None, self.split)]
        _check_present(path, [(entry.where, entry.image) for entry in mine], 'image')
        if self.split == 'train' and self.missing_mask == 'error':
            _check_present(
                path, [(entry.where, entry.mask) for entry in mine if entry.mask], 'mask'
            )

    def _entries(self) -> List[Listed]:
        return read_list(Path(self.data_root) / self.list_file)

    def _from_root(self, path: str) -> str:
        return (PurePosixPath(self.list_file).parent / path).as_posix()

    def class_names_by_label(self) -> Dict[int, str]:
        """The classes that the list names, sorted."""
        names = {entry.key: entry.name for entry in self._entries()}
        return {label: names[key] for label, key in enumerate(sorted(names))}

    def samples(self, split: str) -> List[Sample]:
        """The images that the list has in a split, or, without splits in it, the drawn share of all."""
        entries = self._entries()
        labels = {key: label for label, key in enumerate(sorted({entry.key for entry in entries}))}
        if entries[0].split is None:
            by_key: Dict[Union[str, int], List[str]] = {key: [] for key in labels}
            for entry in entries:
                by_key[entry.key].append(entry.image)
            return [
                Sample(self._from_root(image), labels[key])
                for key, images in by_key.items()
                for image in share_of_class(sorted(images), split, self.test_fraction)
            ]
        return [
            Sample(self._from_root(entry.image), labels[entry.key])
            for entry in entries
            if entry.split == split
        ]

    # ------------------------------------------------------------------ masks
    @cached_property
    def listed_masks(self) -> Dict[str, str]:
        """Image path -> mask path of the images whose ``mask`` is filled, both relative to the data root."""
        return {
            self._from_root(entry.image): self._from_root(entry.mask)
            for entry in self._entries()
            if entry.mask
        }

    def load_data_list(self) -> List[dict]:
        """As ever, with the masks that the list names."""
        if self.split == 'train' and self.listed_masks and not self.mask_root:
            self.mask_root = 'mask'  # where the masks that the list does not name are looked for
        return super().load_data_list()

    def mask_path(self, path: str) -> str:
        """The mask that the list names for an image, else its place below ``mask_root``."""
        return self.listed_masks.get(path) or super().mask_path(path)


def read_list(path: Path) -> List[Listed]:
    """All entries of a list; ``split`` is None everywhere where the list names no splits.

    Raises:
        ValueError: names file, line or entry and what is wrong.
    """
    status = path.stat()
    return _read_list(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _read_list(path: Path, *version: int) -> List[Listed]:
    is_json = path.suffix.lower() == '.json'
    content = read_json(path) if is_json else None
    if isinstance(content, dict):
        entries = list(_split_file_entries(path))
    else:
        rows = _json_rows(path, content) if is_json else _csv_rows(path, read_text(path))
        entries = [_entry(path, where, row) for where, row in rows]
    if not any(entry.split == 'test' for entry in entries):
        entries = [
            entry._replace(split='test') if entry.split == 'val' else entry for entry in entries
        ]
    return entries


def _csv_rows(path: Path, text: str) -> Iterator[Tuple[str, dict]]:
    reader = csv.reader(
        io.StringIO(text, newline=''), delimiter=max(',;\t', key=text.partition('\n')[0].count)
    )
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        if not {'image', 'class'} <= set(header):
            raise UserError(
                f'{path}, line 1: the header must name the columns image and class, and may name split and mask; '
                f'it has {", ".join(map(repr, header)) or "nothing"}'
            )
        for row in reader:
            if not any(row):
                continue
            if len(row) != len(header):
                raise UserError(
                    f'{path}, line {reader.line_num}: {len(row)} cells, but the header has {len(header)}'
                )
            yield f'line {reader.line_num}', dict(zip(header, row))
    except csv.Error as error:
        raise UserError(f'{path}, line {reader.line_num}: {error}') from error


def _json_rows(path: Path, content) -> Iterator[Tuple[str, dict]]:
    if not isinstance(content, list):
        raise UserError(f'{path} holds no list; expected {FORMATS}')
    for number, row in enumerate(content, 1):
        if not isinstance(row, dict) or not all(
            isinstance(row.get(key) or '', str) for key in KEYS
        ):
            raise UserError(
                f'{path}, entry {number}: expected an object with texts for "image", "class" and, if wanted, '
                f'"split" and "mask", not {str(row)[:80]}'
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
            f'{path}, {where}: the split {cells["split"]!r} is none of train, val and test'
        )
    image, mask = (cells[key] and _tidy(path, where, cells[key]) for key in ('image', 'mask'))
    return Listed(where, image, cells['class'], cells['class'], split, mask or None)


def _split_file_entries(path: Path) -> Iterator[Listed]:
    names: Dict[int, str] = {}
    for split, entries in read_lists(path, required=('train',)).items():
        for number, (image, label, name) in enumerate(entries, 1):
            where = f'entry {number} of "{split}"'
            if names.setdefault(label, name) != name:
                raise UserError(
                    f'{path}, {where}: label {label} is called both {names[label]!r} and {name!r}'
                )
            yield Listed(where, _tidy(path, where, image), label, name, split, None)


def _tidy(path: Path, where: str, listed: str) -> str:
    return PurePosixPath(check_relative(listed, f'{path}, {where}:')).as_posix()


def check_entries(path: Path, entries: Sequence[Listed]) -> None:
    """Refuse a list that cannot be trained and tested on.

    Raises:
        ValueError: no image, one class, an image listed twice, splits given for some images only, no training or no test
            images, a class without training images, or with one image for both splits.
    """
    if not entries:
        raise UserError(f'{path} lists no images; expected {FORMATS}')
    first: Dict[str, Listed] = {}
    for entry in entries:
        before = first.setdefault(entry.image, entry)
        if before is not entry:
            leak = ' and would be trained and tested on' if before.split != entry.split else ''
            raise UserError(
                f'{path}, {entry.where}: {entry.image} is listed again, first in {before.where}{leak}; leave one'
            )
        if (entry.split is None) != (entries[0].split is None):
            raise UserError(f'{path}, {entry.where}: give a split for every image or for none')
    if len({entry.key for entry in entries}) < 2:
        raise UserError(f'{path} has one class, {entries[0].name!r}; a classifier needs two')
    if entries[0].split is None:
        images = Counter(entry.key for entry in entries)
        for entry in entries:
            if images[entry.key] < 2:
                raise UserError(
                    f'{path}, {entry.where}: {entry.image} is the only image of the class {entry.name!r}; a '
                    'train and a test split need two'
                )
        return
    for split in ('train', 'test'):
        if not any(entry.split == split for entry in entries):
            raise UserError(f'{path} has no image of the split {split!r}')
    trained = {entry.key for entry in entries if entry.split == 'train'}
    for entry in entries:
        if entry.key not in trained:
            raise UserError(
                f'{path}, {entry.where}: the class {entry.name!r} has no training image'
            )


def _check_present(path: Path, listed: Sequence[Tuple[str, str]], what: str) -> None:
    # Folders are listed once each; asking for every single file takes minutes on network disks.
    folders = {os.path.dirname(file) for _, file in listed}
    present = {
        folder: set(os.listdir(path.parent / folder) if (path.parent / folder).is_dir() else ())
        for folder in folders
    }
    missing = [
        (where, file)
        for where, file in listed
        if os.path.basename(file) not in present[os.path.dirname(file)]
    ]
    if missing:
        where, file = missing[0]
        raise MissingFileError(
            f'{path}: {len(missing)} of {len(listed)} {what}s are not there, the first is in {where}: '
            f'{path.parent / file}; paths are relative to the folder of the list'
        )
