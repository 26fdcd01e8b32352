"""Are the data sets of the field there, whole and as published? The logic of ``tools/check_data.py``."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from mmengine.config import Config
from PIL import Image
from tqdm import tqdm

from ..io.device import cpu_count
from ..io.errors import UserError
from ..registry import DATASETS
from .aircraft import LISTS
from .few_shot import LAYOUTS, SPLITS, FewShotDataset, layout_root, subset_labels
from .image_lists import Sample, files_below

COLUMNS = dict(
    classes='classes',
    train='train',
    val='val',
    test='test',
    test_base='test base',
    test_new='test new',
    masks='masks',
)


@dataclass
class Report:
    """What was found of one data set.

    Attributes:
        title: of the data set. root: the folder its paths are relative to.
        counts: what -> (number found, number expected or None).
        problems: why it is not complete, a text each. notes: what is worth knowing.
        files: ``absent``, ``unreadable``, ``absent_masks``: all paths, relative to ``root``.
    """

    title: str
    root: str
    counts: Dict[str, Tuple[int, Optional[int]]] = field(default_factory=dict)
    problems: List[str] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)
    files: Dict[str, List[str]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def count(self, what: str, found: int, expected: Optional[int]) -> None:
        """Note a number of ``what``, a key of ``COLUMNS``; a problem where another one, unless None, is expected."""
        self.counts[what] = (found, expected)
        if expected not in (None, found):
            self.problems.append(f'{COLUMNS[what]}: {found} found, {expected} expected')

    def name_files(self, kind: str, paths: List[str], what: str, hint: str) -> None:
        """A problem with ``paths``, of which the text names the first."""
        if paths:
            self.files[kind] = paths
            self.problems.append(
                f'{len(paths)} {what}, the first is {Path(self.root) / paths[0]}{hint}'
            )

    def as_json(self) -> dict:
        """All attributes as plain values."""
        counts = {
            what: dict(found=found, expected=expected)
            for what, (found, expected) in self.counts.items()
        }
        return dict(asdict(self), complete=self.complete, counts=counts)


def load_data_sets(folder: Path, names: Sequence[str] = ()) -> Dict[str, Config]:
    """The config parts of ``folder`` that state the facts of a data set: those of ``names``, or all.

    Raises:
        ValueError: a name is unknown.
    """
    known = {path.stem: Config.fromfile(path) for path in sorted(folder.glob('*.py'))}
    known = {name: config for name, config in known.items() if 'title' in config.get('facts', {})}
    for name in names:
        if name not in known:
            raise UserError(f'there is no data set {name!r}; choose from {", ".join(known)}')
    return {name: known[name] for name in names or known}


class DataSetCheck:
    """Compares what lies on disk with what a data set's config part states.

    Args:
        config: of the data set, with ``facts`` and ``test_dataset``.
        root: the data root. layout, mask_suffix: see :class:`~fvgpt.datasets.few_shot.FewShotDataset`.
        masks: look for the masks of the training images. decode: also open every listed image (and mask).
    """

    def __init__(
        self,
        config: Config,
        root: str,
        layout: str = 'coop',
        masks: bool = False,
        mask_suffix: Optional[str] = None,
        decode: bool = False,
    ):
        self.facts, self.given, self.root, self.layout = (
            config.facts,
            config.test_dataset,
            root,
            layout,
        )
        self.masks, self.mask_suffix, self.decode = (
            masks and 'masks' in config.facts.published,
            mask_suffix,
            decode,
        )
        self.place = layout_root(root, layout, self.given.get('archive'))
        self.report = Report(self.facts.title, str(self.place))

    def run(self) -> Report:
        """Look at everything and report what was found; what is missing is a problem in the report, no error."""
        self._check_pieces()
        try:
            self._check_content()
        except FileNotFoundError as error:
            if self.report.complete:  # else it is reported, with where to get it
                self.report.problems.append(str(error))
        except ValueError as error:
            self.report.problems.append(str(error))
        mirror = self.facts.published.get('mirror')
        if mirror and len(self.report.problems) > ('absent_masks' in self.report.files):
            self.report.notes.append(f'images and lists are also published at {mirror}')
        return self.report

    def _check_pieces(self) -> None:
        """Folders and files without which nothing can be read, and whether the split file is the public one."""
        given, published = self.given, self.facts.published
        pieces = {
            os.path.join(given.img_dir, folder): 'images'
            for folder in given.get('folders', {'': ''}).values()
        }
        if 'split_file' in given:
            pieces[given.split_file] = 'split_file'
        if 'list_dir' in given:
            pieces.update({f'{given.list_dir}/{name}': 'lists' for name in LISTS})
        missing = {
            path: piece for path, piece in pieces.items() if not (self.place / path).exists()
        }
        for piece in dict.fromkeys(missing.values()):
            paths = ', '.join(str(self.place / path) for path in missing if missing[path] == piece)
            self.report.problems.append(f'missing: {paths}, published at {published[piece]}')
        self.report.notes += [
            f'{twin} is there: its name differs in the case of letters'
            for path in missing
            for twin in _twins(self.place / path)
        ]
        other = LAYOUTS[1 - LAYOUTS.index(self.layout)]
        elsewhere = layout_root(self.root, other, given.get('archive')) / given.img_dir
        if (
            'images' in missing.values()
            and elsewhere.is_dir()
            and elsewhere != self.place / given.img_dir
        ):
            self.report.notes.append(f'{elsewhere} is there, as in the layout {other!r}')
        if 'md5' in self.facts and given.split_file not in missing:
            split_file = self.place / given.split_file
            digest = hashlib.md5(split_file.read_bytes(), usedforsecurity=False).hexdigest()
            if not digest.startswith(self.facts.md5):
                self.report.problems.append(
                    f'{split_file} is not the public split file: its md5 is {digest}, the public one '
                    f'begins with {self.facts.md5} and is published at {published.split_file}'
                )

    def _check_content(self) -> None:
        dataset = DATASETS.build(
            dict(
                self.given,
                data_root=self.root,
                layout=self.layout,
                mask_root='mask',
                mask_suffix=self.mask_suffix,
                lazy_init=True,
                pipeline=[],
            )
        )
        lists = self._count(dataset)
        there = self._check_images(
            [sample.path for samples in lists.values() for sample in samples]
        )
        if self.masks:
            there += self._check_masks(
                [dataset.mask_path(sample.path) for sample in lists.get('train', [])]
            )
        if self.decode:
            self._check_readable(there)

    def _count(self, dataset: FewShotDataset) -> Dict[str, List[Sample]]:
        """Count classes and images; the samples of each split."""
        names, lists = dataset.class_names_by_label(), {}
        self.report.count('classes', len(names), self.facts.classes)
        for split in SPLITS:
            if split in self.facts:
                try:
                    lists[split] = dataset.samples(split)
                except FileNotFoundError:
                    continue  # its folder is missing, which is reported already
                self.report.count(split, len(lists[split]), self.facts[split])
        for subset in ('base', 'new') if 'train' in self.facts else ():
            labels = set(subset_labels(list(names), subset))
            found = sum(sample.label in labels for sample in lists['test'])
            self.report.count(f'test_{subset}', found, self.facts.get(f'test_{subset}'))
        return lists

    def _check_images(self, listed: List[str]) -> List[str]:
        """Compare the listed images with the files of the image folder; those that are in both."""
        folder = self.place / self.given.img_dir
        present = set(files_below(folder, self.place))
        self.report.name_files(
            'absent',
            [path for path in listed if path not in present],
            f'of {len(listed)} listed images are absent',
            f', published at {self.facts.published.images}',
        )
        unlisted = present.difference(listed)
        if unlisted:
            self.report.notes.append(
                f'files below {folder} that are in no list: {len(unlisted)}, such as {min(unlisted)}'
            )
        return [path for path in listed if path in present]

    def _check_masks(self, masks: List[str]) -> List[str]:
        """Look for the masks of the training images; those that are there."""
        present = set(files_below(self.place / 'mask' / self.given.img_dir, self.place))
        absent = [mask for mask in masks if mask not in present]
        self.report.counts['masks'] = (len(masks) - len(absent), len(masks))
        self.report.name_files(
            'absent_masks',
            absent,
            f'of the {len(masks)} masks of training images are absent',
            f', published at {self.facts.published.masks}',
        )
        stem = os.path.splitext(absent[0])[0] if absent else None
        others = [path for path in present if os.path.splitext(path)[0] == stem]
        if others:
            self.report.notes.append(
                f'{others[0]} is there: --mask-suffix here, mask_suffix in recipes'
            )
        return [mask for mask in masks if mask in present]

    def _check_readable(self, paths: List[str]) -> None:
        """Decode the files at ``paths``."""
        with ThreadPoolExecutor(cpu_count()) as pool:
            tasks = pool.map(lambda path: _why_unreadable(self.place / path), paths)
            reasons = dict(zip(paths, tqdm(tasks, total=len(paths), disable=None)))
        broken = [path for path in paths if reasons[path]]
        hint = f', which {reasons[broken[0]]}' if broken else ''
        self.report.name_files(
            'unreadable', broken, f'of {len(paths)} files cannot be read as images', hint
        )


def _twins(path: Path) -> List[Path]:
    """What is called like ``path`` but for the case of letters; released copies differ in that."""
    siblings = path.parent.iterdir() if path.parent.is_dir() else ()
    return [sibling for sibling in siblings if sibling.name.lower() == path.name.lower()]


def _why_unreadable(path: Path) -> Optional[str]:
    try:
        with Image.open(path) as image:
            image.load()
    except Exception as error:  # the decoders raise nearly anything on broken files
        return 'is empty' if not path.stat().st_size else f'cannot be decoded: {error}'
    return None


def table(reports: Dict[str, Report]) -> str:
    """A line a data set: numbers found, with the expected one where they differ, and details below."""
    shown = [
        column for column in COLUMNS if any(column in report.counts for report in reports.values())
    ]
    lines = [['data set', *(COLUMNS[column] for column in shown), 'state']]
    for name, report in reports.items():
        lines.append(
            [name, *(_cell(report.counts.get(column)) for column in shown), _state(report)]
        )
    widths = [max(map(len, column)) for column in zip(*lines)]
    text = [
        '  '.join(
            [
                cells[0].ljust(widths[0]),
                *(c.rjust(w) for c, w in zip(cells[1:-1], widths[1:])),
                cells[-1],
            ]
        )
        for cells in lines
    ]
    for name, report in reports.items():
        if report.problems or report.notes:
            text += [
                '',
                f'{name} ({report.root})',
                *(f'  {problem}' for problem in report.problems),
                *(f'  note: {note}' for note in report.notes),
            ]
    return '\n'.join(text)


def _cell(count: Optional[Tuple[int, Optional[int]]]) -> str:
    if count is None:
        return '-'
    found, expected = count
    return str(found) if expected in (None, found) else f'{found}/{expected}'


def _state(report: Report) -> str:
    if report.complete:
        return 'complete'
    if not report.counts and all(problem.startswith('missing') for problem in report.problems):
        return 'missing'
    return f'{len(report.problems)} problem{"s" if len(report.problems) > 1 else ""}'
