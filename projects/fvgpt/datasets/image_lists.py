"""Lists of labelled images, and the JSON files (split files, subset files) that contain them."""

import os
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Sequence

from ..io.errors import UserError
from ..io.json_file import read_json


class Sample(NamedTuple):
    """A labelled image.

    Attributes:
        path: path of the image relative to the data root, with forward slashes.
        label: label of its class among all classes of the data set.
    """

    path: str
    label: int


class Entry(NamedTuple):
    """One entry of a split or subset file: path, label and class name of an image."""

    path: str
    label: int
    name: str


def files_below(folder: Path, root: Path) -> Iterator[str]:
    """Paths, relative to ``root``, of all files in ``folder`` and its subfolders.

    Reads directories only. A stat call for each of ImageNet's million files would take minutes.
    """
    for place, _, names in os.walk(folder):
        within = Path(os.path.relpath(place, root)).as_posix()
        for name in names:
            yield name if within == '.' else f'{within}/{name}'


def check_relative(path: str, source: str) -> str:
    """Check that a listed path is relative and stays inside its root folder.

    Args:
        path: the listed path.
        source: the file that lists it, for the message.

    Returns:
        ``path``.

    Raises:
        UserError: the path is absolute or leaves the root folder; names ``source``.
    """
    parts = path.split('/')
    if not parts[0] or '..' in parts or '\\' in path or ':' in parts[0] or '\0' in path:
        raise UserError(
            f'{source} lists the image {path!r}; '
            'paths must be relative and stay inside the image folder'
        )
    return path


def read_lists(path: Path, required: Sequence[str]) -> Dict[str, List[Entry]]:
    """Read ``{"train": [[path, label, class name], ...], "val": [...], "test": [...]}``.

    Args:
        path: JSON file.
        required: splits that the file must contain. Others may be absent and are empty then.

    Returns:
        split -> entries, for ``train``, ``val`` and ``test``.

    Raises:
        UserError: the file is not valid JSON, a required list is missing, or an entry is invalid;
            names the file and the entry.
    """
    content = read_json(path)
    lists = {}
    for split in ('train', 'val', 'test'):
        entries = content.get(split) if isinstance(content, dict) else None
        if entries is None and isinstance(content, dict) and split not in required:
            entries = []
        if not isinstance(entries, list):
            raise UserError(
                f'{path} has no list {split!r}; expected '
                '{"train": [[path, label, class name], ...], "val": [...], "test": [...]}'
            )
        lists[split] = [_entry(entry, split, path) for entry in entries]
    return lists


def _entry(entry, split: str, source: Path) -> Entry:
    if not (
        isinstance(entry, list)
        and len(entry) == 3
        and isinstance(entry[0], str)
        and type(entry[1]) is int
        and entry[1] >= 0
        and isinstance(entry[2], str)
        and entry[2].strip()
    ):
        raise UserError(
            f'{source} has the entry {repr(entry)[:200]} in {split!r}; expected '
            '[path, label, class name], the label 0 or more, the name not empty'
        )
    check_relative(entry[0], str(source))
    return Entry(*entry)
