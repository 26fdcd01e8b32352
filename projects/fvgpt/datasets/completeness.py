"""Check that the public data sets are complete and as published, for ``tools/check_data.py``."""

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
from ..names import Subset
from ..registry import DATASETS
from .aircraft import LISTS
from .class_subsets import subset_labels
from .few_shot import SPLITS, FewShotDataset
from .image_lists import Sample, files_below
from .layouts import LAYOUTS, layout_root

# what is counted -> heading of its column in the table
COLUMNS = dict(
    classes='classes',
    train='train',
    val='val',
    test='test',
    test_base='test base',
    test_new='test new',
    masks='masks',
)

_SPLIT_NAMES = dict(train='training', test='test')


@dataclass
class Report:
    """Result of the check of one data set.

    Attributes:
        title: name of the data set.
        root: folder that its paths are relative to.
        counts: key of ``COLUMNS`` or group -> (number found, number expected or None).
        problems: reasons why the data set is not complete.
        notes: further information for the user.
        files: kind (``absent``, ``unreadable``, ``absent_masks``) -> all paths of that kind,
            relative to ``root``.
    """

    title: str
    root: str
    counts: Dict[str, Tuple[int, Optional[int]]] = field(default_factory=dict)
    problems: List[str] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)
    files: Dict[str, List[str]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether there are no problems."""
        return not self.problems

    def count(self, what: str, found: int, expected: Optional[int]) -> None:
        """Record a number; another number than expected is a problem.

        Args:
            what: a key of ``COLUMNS``, or the name of a group of images.
            found: the number.
            expected: the published number; None if any number is right.
        """
        self.counts[what] = (found, expected)
        if expected not in (None, found):
            self.problems.append(f'{COLUMNS.get(what, what)}: {found} found, {expected} expected')

    def add_files(self, kind: str, paths: List[str], what: str, hint: str) -> None:
        """Record files as a problem, unless ``paths`` is empty.

        Args:
            kind: a key of ``files``.
            paths: paths relative to ``root``; the text of the problem names the first.
            what: what is wrong with them.
            hint: end of the text.
        """
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
    """Read the configs of data sets that state what is published (``facts``).

    Args:
        folder: folder of config files, one per data set.
        names: file names without suffix; empty for all.

    Returns:
        name -> config.

    Raises:
        UserError: a name is unknown.
    """
    known = {path.stem: Config.fromfile(path) for path in sorted(folder.glob('*.py'))}
    known = {name: config for name, config in known.items() if 'title' in config.get('facts', {})}
    for name in names:
        if name not in known:
            raise UserError(f'there is no data set {name!r}; choose from {", ".join(known)}')
    return {name: known[name] for name in names or known}


class DataSetCheck:
    """Compares the files of a data set with the numbers that its config states.

    Args:
        config: config of the data set with ``facts`` and ``test_dataset``.
        root: the data root.
        layout, mask_suffix: see :class:`~fvgpt.datasets.few_shot.FewShotDataset`.
        masks: also check that the published masks exist: those of training images, or of test
            images if there are no others.
        decode: also decode every listed image and mask.
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
        self.facts = config.facts
        self.given = config.test_dataset
        self.root = root
        self.layout = layout
        self.masks = masks and 'masks' in config.facts.published
        self.mask_suffix = mask_suffix
        self.decode = decode
        self.images = self.given.get('img_dir') or os.path.dirname(self.given.list_file)
        self.place = layout_root(root, layout, self.given.get('archive'))
        self.report = Report(self.facts.title, str(self.place))

    def run(self) -> Report:
        """Check everything. What is missing becomes a problem in the report, not an error."""
        self._check_required()
        try:
            self._check_content()
        except FileNotFoundError as error:
            if self.report.complete:  # otherwise it is reported already, with its source
                self.report.problems.append(str(error))
        except ValueError as error:
            self.report.problems.append(str(error))
        mirror = self.facts.published.get('mirror')
        if mirror and len(self.report.problems) > ('absent_masks' in self.report.files):
            self.report.notes.append(f'images and lists are also published at {mirror}')
        return self.report

    def _check_required(self) -> None:
        """Check that the required files and folders exist and the split file is the public one."""
        missing = {
            path: kind
            for path, kind in self._required().items()
            if not (self.place / path).exists()
        }
        for kind in dict.fromkeys(missing.values()):
            paths = ', '.join(str(self.place / path) for path in missing if missing[path] == kind)
            self.report.problems.append(
                f'missing: {paths}, published at {self.facts.published[kind]}'
            )
        for path in missing:
            for twin in _other_case(self.place / path):
                self.report.notes.append(f'{twin} exists: its name differs in upper and lower case')
        if 'images' in missing.values():
            self._look_in_other_layout()
        if 'md5' in self.facts and self.given.split_file not in missing:
            self._check_split_file()

    def _required(self) -> Dict[str, str]:
        """Path of each required file or folder -> its key in ``facts.published``."""
        given = self.given
        required = {
            os.path.join(self.images, folder): 'images'
            for folder in given.get('folders', {'': ''}).values()
        }
        if 'list_file' in given:
            required[given.list_file] = 'images'
        if 'split_file' in given:
            required[given.split_file] = 'split_file'
        if 'list_dir' in given:
            required.update({f'{given.list_dir}/{name}': 'lists' for name in LISTS})
        return required

    def _look_in_other_layout(self) -> None:
        """Add a note if the images are stored in the other layout."""
        other = LAYOUTS[1 - LAYOUTS.index(self.layout)]
        folder = layout_root(self.root, other, self.given.get('archive')) / self.images
        if folder.is_dir() and folder != self.place / self.images:
            self.report.notes.append(f'{folder} exists, as in the layout {other!r}')

    def _check_split_file(self) -> None:
        split_file = self.place / self.given.split_file
        digest = hashlib.md5(split_file.read_bytes(), usedforsecurity=False).hexdigest()
        if not digest.startswith(self.facts.md5):
            self.report.problems.append(
                f'{split_file} is not the public split file: its md5 is {digest}, the public one '
                f'begins with {self.facts.md5} and is published at '
                f'{self.facts.published.split_file}'
            )

    def _check_content(self) -> None:
        """Check the numbers of classes and images, and that the listed files exist."""
        dataset = DATASETS.build(
            dict(
                self.given,
                data_root=self.root,
                layout=self.layout,
                mask_root='mask',
                mask_suffix=self.mask_suffix or self.given.get('mask_suffix'),
                lazy_init=True,
                pipeline=[],
            )
        )
        lists = self._count(dataset)
        present = self._check_images(
            [sample.path for samples in lists.values() for sample in samples]
        )
        if self.masks:
            split = 'train' if 'train' in self.facts else 'test'
            masks = [dataset.mask_path(sample.path) for sample in lists.get(split, [])]
            present += self._check_masks(masks, split)
        if self.decode:
            self._check_readable(present)

    def _count(self, dataset: FewShotDataset) -> Dict[str, List[Sample]]:
        """Count classes and images.

        Returns:
            split -> samples, for the splits that are published and exist.
        """
        names, lists = dataset.class_names_by_label(), {}
        self.report.count('classes', len(names), self.facts.classes)
        for split in SPLITS:
            if split in self.facts:
                try:
                    lists[split] = dataset.samples(split)
                except FileNotFoundError:
                    continue  # its folder does not exist, which is reported already
                self.report.count(split, len(lists[split]), self.facts[split])
        for subset in (Subset.BASE, Subset.NEW) if 'train' in self.facts else ():
            labels = set(subset_labels(list(names), subset))
            found = sum(sample.label in labels for sample in lists['test'])
            self.report.count(f'test_{subset}', found, self.facts.get(f'test_{subset}'))
        for group, number in self.facts.get('groups', {}).items():
            position = dataset.groups.index(group)
            found = sum(dataset.group(sample.path) == position for sample in lists['test'])
            self.report.count(group, found, number)
        return lists

    def _check_images(self, listed: List[str]) -> List[str]:
        """Check that the listed images exist.

        Returns:
            Those that exist.
        """
        folder = self.place / self.images
        present = set(files_below(folder, self.place))
        self.report.add_files(
            'absent',
            [path for path in listed if path not in present],
            f'of {len(listed)} listed images are absent',
            f', published at {self.facts.published.images}',
        )
        unlisted = present.difference(listed)
        if unlisted:
            self.report.notes.append(
                f'files in {folder} that no list contains: {len(unlisted)}, such as {min(unlisted)}'
            )
        return [path for path in listed if path in present]

    def _check_masks(self, masks: List[str], split: str) -> List[str]:
        """Check that the masks of the images of a split exist.

        Returns:
            Those that exist.
        """
        folder = os.path.commonpath([os.path.dirname(mask) for mask in masks]) if masks else 'mask'
        present = set(files_below(self.place / folder, self.place))
        absent = [mask for mask in masks if mask not in present]
        self.report.counts['masks'] = (len(masks) - len(absent), len(masks))
        self.report.add_files(
            'absent_masks',
            absent,
            f'of the {len(masks)} masks of {_SPLIT_NAMES[split]} images are absent',
            f', published at {self.facts.published.masks}',
        )
        stem = os.path.splitext(absent[0])[0] if absent else None
        others = [path for path in present if os.path.splitext(path)[0] == stem]
        if others:
            self.report.notes.append(
                f'{others[0]} exists: set --mask-suffix here, mask_suffix in recipes'
            )
        return [mask for mask in masks if mask in present]

    def _check_readable(self, paths: List[str]) -> None:
        """Check that files can be decoded as images.

        Args:
            paths: relative to the root of the data set.
        """
        with ThreadPoolExecutor(cpu_count()) as pool:
            tasks = pool.map(lambda path: _why_unreadable(self.place / path), paths)
            reasons = dict(zip(paths, tqdm(tasks, total=len(paths), disable=None)))
        broken = [path for path in paths if reasons[path]]
        hint = f', which {reasons[broken[0]]}' if broken else ''
        self.report.add_files(
            'unreadable', broken, f'of {len(paths)} files cannot be read as images', hint
        )


def _other_case(path: Path) -> List[Path]:
    """Existing files whose name differs from ``path`` only in upper and lower case.

    Released copies of some data sets differ in this.
    """
    siblings = path.parent.iterdir() if path.parent.is_dir() else ()
    return [sibling for sibling in siblings if sibling.name.lower() == path.name.lower()]


def _why_unreadable(path: Path) -> Optional[str]:
    """Reason why an image cannot be decoded; None if it can."""
    try:
        with Image.open(path) as image:
            image.load()
    except Exception as error:  # the decoders raise many kinds of exceptions on broken files
        return 'is empty' if not path.stat().st_size else f'cannot be decoded: {error}'
    return None


def table(reports: Dict[str, Report]) -> str:
    """Text table with one line per data set, followed by the problems and notes of each.

    A cell is the number found, or ``found/expected`` if they differ.

    Args:
        reports: name of the data set -> report.
    """
    shown = [what for what in COLUMNS if any(what in report.counts for report in reports.values())]
    rows = [['data set', *(COLUMNS[what] for what in shown), 'state']]
    for name, report in reports.items():
        rows.append([name, *(_cell(report.counts.get(what)) for what in shown), _state(report)])
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for first, *counts, state in rows:
        aligned = [count.rjust(width) for count, width in zip(counts, widths[1:])]
        lines.append('  '.join([first.ljust(widths[0]), *aligned, state]))
    for name, report in reports.items():
        if report.problems or report.notes:
            lines += ['', f'{name} ({report.root})']
            lines += [f'  {problem}' for problem in report.problems]
            lines += [f'  note: {note}' for note in report.notes]
    return '\n'.join(lines)


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
