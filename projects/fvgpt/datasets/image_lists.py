"""Lists of labelled images: split files, few-shot subset files, and the few-shot draw."""

import os
import random
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Sequence

from ..io.errors import UserError
from ..io.json_file import read_json

VAL_SHOTS = 4  # the public protocol never takes more than four validation images a class


class Sample(NamedTuple):
    """path: of the image, relative to the data root, with forward slashes. label: in the whole data set."""

    path: str
    label: int


class Entry(NamedTuple):
    """One line of a split or subset file."""

    path: str
    label: int
    name: str


def sample_shots(samples: Sequence[Sample], num_shots: int, rng: random.Random) -> List[Sample]:
    """``num_shots`` samples of each class, all of them where there are fewer.

    Classes stand in the order of their first sample and samples in the order drawn, as CoOp's code has it, so
    ``random.Random(seed)`` gives the public few-shot subsets exactly.
    """
    by_label: Dict[int, List[Sample]] = {}
    for sample in samples:
        by_label.setdefault(sample.label, []).append(sample)
    return [
        drawn
        for items in by_label.values()
        for drawn in (rng.sample(items, num_shots) if len(items) >= num_shots else items)
    ]


def draw_subset(
    samples: Callable[[str], Sequence[Sample]],
    num_shots: int,
    seed: int,
    splits: Sequence[str] = ('train', 'val'),
) -> Dict[str, List[Sample]]:
    """A few-shot subset: ``num_shots`` training and min(num_shots, 4) validation images a class.

    Args:
        samples: gives all samples of a split.
        splits: what to draw, ``train`` first: the validation images follow from the same stream, as the public ones did.
    """
    rng = random.Random(seed)
    return {
        split: sample_shots(
            samples(split), num_shots if split == 'train' else min(num_shots, VAL_SHOTS), rng
        )
        for split in splits
    }


def files_below(folder: Path, root: Path) -> Iterator[str]:
    """Paths, relative to ``root``, of all files below ``folder``.

    Directories are read and nothing else: asking each of ImageNet's million files what it is takes minutes.
    """
    for place, _, names in os.walk(folder):
        within = Path(os.path.relpath(place, root)).as_posix()
        yield from names if within == '.' else (f'{within}/{name}' for name in names)


def check_relative(path: str, source: str) -> str:
    """``path``, refused when it is absolute or climbs out of its root.

    Raises:
        ValueError: names the file it was read from.
    """
    parts = path.split('/')
    if not parts[0] or '..' in parts or '\\' in path or ':' in parts[0] or '\0' in path:
        raise UserError(
            f'{source} lists the image {path!r}; paths must be relative and stay below the image folder'
        )
    return path


def read_lists(path: Path, required: Sequence[str]) -> Dict[str, List[Entry]]:
    """The lists of ``{"train": [[path, label, class name], ...], "val": ..., "test": ...}``; absent ones are empty.

    Raises:
        ValueError: no such JSON, a required list is missing, or an entry is malformed; names the file and the entry.
    """
    content = read_json(path)
    lists = {}
    for split in ('train', 'val', 'test'):
        entries = content.get(split) if isinstance(content, dict) else None
        if entries is None and isinstance(content, dict) and split not in required:
            entries = []
        if not isinstance(entries, list):
            raise UserError(
                f'{path} has no list {split!r}; expected {{"train": [[path, label, class name], ...], "val": '
                '[...], "test": [...]}'
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
            f'{source} has the entry {repr(entry)[:200]} in {split!r}; expected [path, label, class name], the '
            'label 0 or more, the name not empty'
        )
    check_relative(entry[0], str(source))
    return Entry(*entry)
