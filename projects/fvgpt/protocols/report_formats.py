"""Tables of a report as Markdown, CSV and LaTeX."""

from typing import List

from ..io.csv_text import csv_text
from .published_numbers import numbers
from .tables import Table, column_title, line_text

WIDE = 7
"""Tables with more columns than this are transposed."""

MARK = '<!-- made by tools/report.py -->'
"""First line of the Markdown file. It shows that a report may be overwritten."""

_CSV_HEADER = (
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
_LATEX = str.maketrans(
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


def cells(table: Table, sources: List[str]) -> List[List[str]]:
    """Return the cells of a table as texts, the header first. A wide table is transposed.

    Args:
        table: the table.
        sources: sources of all published numbers in the report; their positions are the numbers of
            the citations.
    """
    rows = [['', *map(column_title, table.columns), table.counted]]
    for line in table.lines:
        citation = f' [{sources.index(line.source) + 1}]' if line.source else ''
        values = [line_text(line, column) for column in table.columns]
        rows.append([line.label + citation, *values, line.count])
    return [list(column) for column in zip(*rows)] if len(table.columns) > WIDE else rows


def _citations(sources: List[str]) -> List[str]:
    return [f'[{i}] {source}' for i, source in enumerate(sources, 1)]


def markdown(
    name: str, tables: List[Table], sources: List[str], notes: List[str], before: int = 1
) -> str:
    """Return the report in Markdown.

    Args:
        name: title of the report.
        tables: the tables.
        sources: sources of the published numbers, in the order of their citations.
        notes: paragraphs.
        before: how many of them precede the tables; the others follow them.
    """
    parts = [MARK, f'# {_one_line(name)}', *notes[:before]]
    for table in tables:
        rows = [
            [_one_line(cell).replace('|', r'\|') for cell in row] for row in cells(table, sources)
        ]
        rows.insert(1, ['---', *['---:'] * (len(rows[0]) - 1)])
        parts.append(f'## {_one_line(table.title)}')
        parts.append('\n'.join('| ' + ' | '.join(row) + ' |' for row in rows))
        parts += table.notes
    if sources:
        citations = '\n'.join(f'- {line}' for line in _citations(sources))
        parts += ['## Published numbers', numbers()['about'], citations]
    return '\n\n'.join([*parts, '## How to read this', *notes[before:]]) + '\n'


def _one_line(text: str) -> str:
    return ' '.join(text.split())


def comma_separated(tables: List[Table]) -> str:
    """Return all numbers as CSV in long form: one row per line of a table and column."""
    rows: List[tuple] = [_CSV_HEADER]
    for table in tables:
        for line in table.lines:
            place = (table.title, line.tuner, line.variant, line.kind)
            for column, cell in line.cells.items():
                figures = ['' if figure is None else round(figure, 4) for figure in cell]
                rows.append((*place, column, *figures, line.count, line.source))
    return csv_text(rows)


def latex(name: str, tables: List[Table], sources: List[str], notes: List[str]) -> str:
    r"""Return the report in LaTeX, for ``\input``.

    The document needs the package booktabs. With graphicx, tables shrink to the width of the line.
    The arguments are those of :func:`markdown`.
    """
    parts = [
        '% made by tools/report.py; \\usepackage{booktabs,graphicx}\n'
        '\\providecommand{\\resizebox}[3]{#3}'
    ]
    parts += [_latex_table(name, table, sources) for table in tables]
    about = [numbers()['about'], *_citations(sources)] if sources else []
    paragraphs = [text.translate(_LATEX) for text in [*notes, *about]]
    parts.append('{\\footnotesize\n' + '\n\n'.join(paragraphs) + '\\par}')
    return '\n\n'.join(parts) + '\n'


def _latex_table(name: str, table: Table, sources: List[str]) -> str:
    header, *rows = [[cell.translate(_LATEX) for cell in row] for row in cells(table, sources)]
    lines = []
    for label, *figures in rows:
        with_minus = [figure.replace('-', '$-$') for figure in figures]
        lines.append(' & '.join([label, *with_minus]) + r' \\')
    return '\n'.join(
        [
            r'\begin{table}[htbp]',
            r'\centering\footnotesize\setlength{\tabcolsep}{4pt}',
            rf'\caption{{{name.translate(_LATEX)}: {table.title.translate(_LATEX)}}}',
            r'\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%',
            rf'\begin{{tabular}}{{l{"r" * (len(header) - 1)}}}',
            r'\toprule',
            ' & '.join(header) + r' \\',
            r'\midrule',
            *lines,
            r'\bottomrule',
            r'\end{tabular}}',
            *(rf'\par {note.translate(_LATEX)}' for note in table.notes),
            r'\end{table}',
        ]
    )
