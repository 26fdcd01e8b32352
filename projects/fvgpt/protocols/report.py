"""The report of a protocol: tables with paired gains and published numbers, and a figure."""

from pathlib import Path, PurePosixPath
from typing import Dict, List, Optional

from ..io.atomic_write import atomic_write
from ..io.errors import UserError
from .differences import difference_tables
from .plot import draw
from .published_numbers import numbers
from .report_formats import MARK, WIDE, comma_separated, latex, markdown
from .tables import accuracy_tables, cost_table
from .work_dir import WorkDir, read_work_dir

TABLE, CSV, TEX, PLOT = FILES = ('table.md', 'table.csv', 'table.tex', 'plot.png')

NOTES = """\
Accuracy is top-1 in percent: mean ± sample standard deviation over seeds. H is the harmonic mean of
the mean base and the mean new accuracy; its ± is the deviation of the H of the seeds. "2 of 3"
marks a row with missing runs; with one seed there is no ±.

A gain is the accuracy of FVG-PT minus that of the tuner below it, in points, with a 95 % interval
(Student's t with the standard error of the jackknife; for plain means this is the paired t
interval). In the table of one data set the pairs are seeds: the few-shot sample, the initial values
and the order of the images vary, the test images do not. In the table of averages the pairs are
data sets (means over seeds): the interval shows how the gain varies between data sets. One pair has
no interval.

An average is over the data sets that have all sources. H is that of the averaged base and new
accuracies, and ± is over the averages of the seeds that every data set has."""

DIFFERENCES = """\
A paired difference is one row minus another of the same seeds, in points, with a 95 % interval over
seeds and test images: both are drawn at random (two-way random effects, Student's t). With one seed
it is over the test images only. Columns that are no accuracy over images, and runs without
outcomes.npz, have the interval over seeds that a gain has."""


def write_report(work_dir: Path, out: Optional[Path] = None) -> str:
    """Write ``table.md``, ``table.csv``, ``table.tex`` and ``plot.png``.

    Args:
        work_dir: work dir of ``tools/run_protocol.py``, with ``protocol.json``.
        out: folder of the four files. Default: ``work_dir/report``.

    Returns:
        The text of ``table.md``.

    Raises:
        FileNotFoundError: ``work_dir`` has no ``protocol.json``.
        ValueError: a file in it cannot be read, or ``out`` contains files that are not a report.
    """
    work = read_work_dir(Path(work_dir))
    out = Path(out or Path(work_dir) / 'report')
    _check_out(out)
    accuracies = accuracy_tables(work, WIDE)
    differences, answers = difference_tables(work)
    costs = cost_table(work)
    tables = differences + accuracies + ([costs] if costs else [])
    sources = list(
        dict.fromkeys(line.source for table in tables for line in table.lines if line.source)
    )
    notes = [*answers, *_notes(work, bool(differences))]
    before = len(answers) + 1  # paragraphs above the tables: answers and how many runs are done
    text = markdown(work.title, tables, sources, notes, before)
    contents = {
        TABLE: text,
        CSV: comma_separated(tables),
        TEX: latex(work.title, tables, sources, notes),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        with atomic_write(out / name) as partial:
            partial.write_text(content, encoding='utf-8')
    with atomic_write(out / PLOT) as partial:
        draw(work.title, accuracies, WIDE).savefig(partial, format='png', dpi=150)
    return text


def _check_out(out: Path) -> None:
    """Refuse to overwrite files that are not a report."""
    if out.exists() and not out.is_dir():
        raise UserError(f'{out} is a file: --out is a folder')
    existing = [name for name in FILES if (out / name).exists()]
    is_report = TABLE in existing and (out / TABLE).read_bytes().startswith(MARK.encode())
    if existing and not is_report:
        raise UserError(
            f'{out / existing[0]} does not belong to a report and would be overwritten: choose '
            'another --out'
        )


def _notes(work: WorkDir, differences: bool) -> List[str]:
    """Return the paragraphs of the report: missing runs, on published numbers, ``NOTES``."""
    missing: Dict[str, List[str]] = {}
    for run in work.runs:
        if not run.results:
            folder = PurePosixPath(run.folder)
            missing.setdefault(str(folder.parent), []).append(folder.name)
    count = sum(map(len, missing.values()))
    done = f'{len(work.runs) - count} of {len(work.runs)} runs are done.'
    if count:
        folders = '; '.join(f'{folder}/{", ".join(seeds)}' for folder, seeds in missing.items())
        done += f' Missing ({count}): {folders}.'
    on_published = [
        f'{note["text"]} ({note["source"]})'
        for note in numbers()['notes']
        if any(note['word'] in run.variant and run.tuner == note['tuner'] for run in work.runs)
    ]
    return [done, *on_published, *([DIFFERENCES] * differences), *NOTES.split('\n\n')]
