"""The report of a protocol's runs: tables with spread, paired gains and published numbers, and a figure."""

from pathlib import Path, PurePosixPath
from typing import Dict, List, Optional

from ..io.atomic_write import atomic_write
from ..io.csv_text import csv_text
from ..io.errors import UserError
from .plot import draw
from .published import numbers
from .tables import Block, accuracy_blocks, column_title, cost_block, line_text
from .work_dir import WorkDir, read_work_dir

MARK = '<!-- made by tools/report.py -->'
WIDE = 7  # blocks with more columns than this are shown with a line a column
TABLE, CSV, TEX, PLOT = FILES = ('table.md', 'table.csv', 'table.tex', 'plot.png')

NOTES = """\
Accuracy is top-1 in percent: mean ± sample standard deviation over seeds. H is the harmonic mean of the mean base and the mean
new accuracy; its ± is the deviation of the seeds' own H. "2 of 3" marks a row that lacks runs; with one seed there is no ±.

A gain is FVG-PT minus the tuner that it stands on, in points, with a 95 % interval (Student's t on the jackknife's standard
error, for plain means the paired t interval). In the table of one data set the pairs are seeds: what varies is the few-shot
draw, the initial values and the order of the images, while the test images stay. In the table of averages the pairs are data
sets (means over seeds): the interval says how the gain varies from data set to data set. One pair has no interval.

An average is over the data sets that have all sources; H is that of the averaged base and new accuracies, and ± is over the
averages of the seeds that every data set has."""


def write_report(work_dir: Path, out: Optional[Path] = None) -> str:
    """Write ``table.md``, ``table.csv``, ``table.tex`` and ``plot.png``.

    Args:
        work_dir: with the ``protocol.json`` of ``tools/run_protocol.py``. out: folder of the files (``work_dir/report``).

    Returns:
        The text of ``table.md``.

    Raises:
        FileNotFoundError: ``work_dir`` has no ``protocol.json``.
        ValueError: a file in it cannot be read, or ``out`` has files of another origin.
    """
    work = read_work_dir(Path(work_dir))
    out = Path(out or Path(work_dir) / 'report')
    _check_out(out)
    blocks = accuracy_blocks(work, WIDE)
    cost = cost_block(work)
    tables = blocks + ([cost] if cost else [])
    sources = list(
        dict.fromkeys(line.source for block in tables for line in block.lines if line.source)
    )
    notes = _notes(work)
    text = markdown(work.title, tables, sources, notes)
    out.mkdir(parents=True, exist_ok=True)
    for name, content in {
        TABLE: text,
        CSV: comma_separated(tables),
        TEX: latex(work.title, tables, sources, notes),
    }.items():
        with atomic_write(out / name) as partial:
            partial.write_text(content, encoding='utf-8')
    with atomic_write(out / PLOT) as partial:
        draw(work.title, blocks, WIDE).savefig(partial, format='png', dpi=150)
    return text


def _check_out(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UserError(f'{out} is a file: --out is a folder')
    there = [name for name in FILES if (out / name).exists()]
    if there and not (TABLE in there and (out / TABLE).read_bytes().startswith(MARK.encode())):
        raise UserError(
            f'{out / there[0]} is not of a report and would be lost: choose another --out'
        )


def _notes(work: WorkDir) -> List[str]:
    missing: Dict[str, List[str]] = {}
    for run in work.runs:
        if not run.results:
            folder = PurePosixPath(run.folder)
            missing.setdefault(str(folder.parent), []).append(folder.name)
    count = sum(map(len, missing.values()))
    done = f'{len(work.runs) - count} of {len(work.runs)} runs are done.'
    notes = [
        note['text'] + f' ({note["source"]})'
        for note in numbers()['notes']
        if any(note['word'] in run.variant and run.tuner == note['tuner'] for run in work.runs)
    ]
    folders = '; '.join(f'{folder}/{", ".join(seeds)}' for folder, seeds in missing.items())
    return [
        done + (f' Missing ({count}): {folders}.' if count else ''),
        *notes,
        *NOTES.split('\n\n'),
    ]


def cells(block: Block, sources: List[str]) -> List[List[str]]:
    """A block as plain text, the head first; turned where it is wide. ``sources`` numbers the published rows."""
    labels = [
        line.label + (f' [{sources.index(line.source) + 1}]' if line.source else '')
        for line in block.lines
    ]
    rows = [['', *map(column_title, block.columns), block.counted]]
    rows += [
        [label, *(line_text(line, column) for column in block.columns), line.count]
        for label, line in zip(labels, block.lines)
    ]
    return [list(row) for row in zip(*rows)] if len(block.columns) > WIDE else rows


def _citations(sources: List[str]) -> List[str]:
    return [f'[{i}] {source}' for i, source in enumerate(sources, 1)]


def markdown(name: str, blocks: List[Block], sources: List[str], notes: List[str]) -> str:
    """The tables in Markdown."""
    parts = [MARK, f'# {_one_line(name)}', notes[0]]
    for block in blocks:
        head, *rows = [
            [_one_line(cell).replace('|', r'\|') for cell in row] for row in cells(block, sources)
        ]
        lines = [head, ['---', *['---:'] * (len(head) - 1)], *rows]
        parts += [
            f'## {_one_line(block.title)}',
            '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines),
            *block.notes,
        ]
    if sources:
        parts += [
            '## Published numbers',
            numbers()['about'],
            '\n'.join(f'- {line}' for line in _citations(sources)),
        ]
    return '\n\n'.join([*parts, '## How to read this', *notes[1:]]) + '\n'


def _one_line(text: str) -> str:
    return ' '.join(text.split())


def comma_separated(blocks: List[Block]) -> str:
    """All numbers in long form, a line each: means, deviations, gains with their limits, published numbers, costs."""
    rows: List[tuple] = [
        (
            'table',
            'tuner',
            'variant',
            'kind',
            'column',
            'value',
            'sd',
            'low',
            'high',
            'count',
            'source',
        )
    ]
    for block in blocks:
        for line in block.lines:
            for column, cell in line.cells.items():
                figures = ['' if figure is None else round(figure, 4) for figure in cell]
                rows.append(
                    (
                        block.title,
                        line.tuner,
                        line.variant,
                        line.kind,
                        column,
                        *figures,
                        line.count,
                        line.source,
                    )
                )
    return csv_text(rows)


LATEX = str.maketrans(
    {
        **{c: '\\' + c for c in '&%$#_{}'},
        '\\': r'\textbackslash{}',
        '~': r'\textasciitilde{}',
        '^': r'\textasciicircum{}',
        '<': r'\textless{}',
        '>': r'\textgreater{}',
        '|': r'\textbar{}',
        '±': r'$\pm$',
        '[': '{[}',
        '*': '{*}',
        '\n': ' ',
    }
)


def latex(name: str, blocks: List[Block], sources: List[str], notes: List[str]) -> str:
    r"""The tables for ``\input``; the document needs booktabs, and graphicx where a table is to shrink to the line's width."""
    parts = [
        '% made by tools/report.py; \\usepackage{booktabs,graphicx}\n\\providecommand{\\resizebox}[3]{#3}'
    ]
    for block in blocks:
        head, *rows = [[cell.translate(LATEX) for cell in row] for row in cells(block, sources)]
        lines = [
            ' & '.join([label, *(figure.replace('-', '$-$') for figure in figures)]) + r' \\'
            for label, *figures in rows
        ]
        parts.append(
            '\n'.join(
                [
                    r'\begin{table}[htbp]',
                    r'\centering\footnotesize\setlength{\tabcolsep}{4pt}',
                    rf'\caption{{{name.translate(LATEX)}: {block.title.translate(LATEX)}}}',
                    r'\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%',
                    rf'\begin{{tabular}}{{l{"r" * (len(head) - 1)}}}',
                    r'\toprule',
                    ' & '.join(head) + r' \\',
                    r'\midrule',
                    *lines,
                    r'\bottomrule',
                    r'\end{tabular}}',
                    *(rf'\par {note.translate(LATEX)}' for note in block.notes),
                    r'\end{table}',
                ]
            )
        )
    about = [numbers()['about'], *_citations(sources)] if sources else []
    parts.append(
        '{\\footnotesize\n'
        + '\n\n'.join(text.translate(LATEX) for text in [*notes, *about])
        + '\\par}'
    )
    return '\n\n'.join(parts) + '\n'
