"""The figure of a report.

It shows accuracies with their standard deviation over seeds as dots. If the variants of the
protocol differ in one number, it shows lines over that number instead.
"""

import math
import re
from itertools import cycle
from typing import Dict, List, Literal, Optional, Sequence, Tuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..evaluation import STYLES, TITLES
from .published_numbers import title
from .tables import Cell, Group, Table, column_title

PANELS_PER_ROW = 4
# line styles of the tuners
DASHES: Tuple[Literal['-', '--', ':', '-.'], ...] = ('-', '--', ':', '-.')

Sources = Dict[str, Cell]
"""Source -> its number in one column of one group."""

_ONE_NUMBER = re.compile(r'(\D*?)([-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)(\D*)')


def draw(name: str, tables: List[Table], wide: int) -> Figure:
    """Draw the figure of a report.

    Without a numeric variant there is a panel per column, with a line for each group. With one,
    there is a panel per column and data set.

    Args:
        name: title of the figure.
        tables: the tables of accuracies, that of averages first.
        wide: for tables with more columns than this, there is a panel per group instead.
    """
    tuners = list(dict.fromkeys(tuner for table in tables for tuner, _ in table.groups))
    axis = numeric_variants([variant for table in tables for _, variant in table.groups])
    if not tables:
        figure, name = Figure(figsize=(6, 1.5), layout='constrained'), f'{name}: no run is done'
    elif axis:
        figure = _draw_lines(tables, tuners, *axis)
    else:
        figure = _draw_dots(dot_panels(tables, tuners, wide))
    tuner = title(tuners[0]) if len(tuners) == 1 else 'tuner'
    handles = []
    for source, (color, marker) in STYLES.items():
        label = _escape(TITLES[source].format(tuner=tuner))
        handles.append(Line2D([], [], linestyle='', marker=marker, color=color, label=label))
    if axis and len(tuners) > 1:
        for tuner, dash in zip(tuners, cycle(DASHES)):
            handles.append(
                Line2D([], [], linestyle=dash, color='black', label=_escape(title(tuner)))
            )
    figure.legend(handles=handles, loc='outside lower center', ncols=len(handles), frameon=False)
    figure.suptitle(_escape(name))
    return figure


def numeric_variants(variants: Sequence[str]) -> Optional[Tuple[str, Dict[str, float]]]:
    """Recognise variants that differ in one number, such as ``1 shot`` and ``16 shots``.

    Returns:
        The name of the number (``shots``) and variant -> number. None if the variants are not all
        one word with different numbers, or if there are fewer than two.
    """
    matches = {variant: match for variant in variants if (match := _ONE_NUMBER.fullmatch(variant))}
    if len(matches) < max(2, len(set(variants))):
        return None
    names = [(match[1] + match[3]).strip(' =:_') for match in matches.values()]
    if len({name.removesuffix('s') for name in names}) > 1:
        return None
    return names[-1], {variant: float(match[2]) for variant, match in matches.items()}


def _sources(table: Table, group: Group, column: str) -> Sources:
    """Collect the numbers of a group, from its own lines or from those of a wider scope."""
    found: Sources = {}
    for scope in (('', ''), (group[0], ''), group):
        for line in table.lines:
            in_scope = (line.tuner, line.variant) == scope
            if line.kind in STYLES and in_scope and column in line.cells:
                found[line.kind] = line.cells[column]
    return found


def dot_panels(tables: List[Table], tuners: List[str], wide: int) -> Dict[str, Dict[str, Sources]]:
    """Arrange the numbers of tables for a figure of dots.

    Args:
        tables, wide: as in :func:`draw`.
        tuners: all tuners in the tables.

    Returns:
        Title of the panel -> label on the vertical axis -> numbers.
    """
    panels: Dict[str, Dict[str, Sources]] = {}
    for table in tables:
        is_wide = len(table.columns) > wide  # in that case the table's title names the tuner
        for tuner, variant in table.groups:
            names = [
                table.title if len(tables) > 1 else '',
                title(tuner) if len(tuners) > 1 and not is_wide else '',
                variant,
            ]
            row = ', '.join(filter(None, names)) or title(tuner)
            for column in table.columns:
                panel, label = column_title(column), row
                if is_wide:
                    panel, label = label, panel
                sources = _sources(table, (tuner, variant), column)
                panels.setdefault(panel, {})[label] = sources
    return panels


def _draw_dots(panels: Dict[str, Dict[str, Sources]]) -> Figure:
    lines = max(map(len, panels.values()))
    figure, axes = _grid(len(panels), 2.6, 1.2 + 0.34 * lines, share_y=True)
    for axis, (panel, rows) in zip(axes, panels.items()):
        for y, cells in enumerate(rows.values()):
            for shift, source in zip((-0.2, 0, 0.2), STYLES):
                if source in cells:
                    _point(axis, source, cells[source].value, y + shift, xerr=cells[source].sd)
        axis.set_yticks(range(len(rows)), [_escape(label) for label in rows])
        axis.set_ylim(lines - 0.5, -0.5)
        axis.set_title(_escape(panel), fontsize='medium')
        axis.set_xlabel('accuracy (%)')
        axis.locator_params(axis='x', nbins=5)
        axis.grid(axis='x', alpha=0.3)
    return figure


def _draw_lines(
    tables: List[Table], tuners: List[str], value_name: str, values: Dict[str, float]
) -> Figure:
    if len(tables) > 1 and len(tables[0].columns) > 1:
        tables = tables[:1]  # only the averages: otherwise there would be too many panels
    panels = [(table, column) for table in tables for column in table.columns]
    figure, axes = _grid(len(panels), 2.8, 2.6)
    ticks = sorted(set(values.values()))
    for axis, (table, column) in zip(axes, panels):
        for tuner, dash in zip(tuners, cycle(DASHES)):
            groups = [group for group in table.groups if group[0] == tuner]
            points: Dict[str, List[Tuple[float, float]]] = {}
            for group in sorted(groups, key=lambda group: values[group[1]]):
                x = values[group[1]]
                for source, cell in _sources(table, group, column).items():
                    _point(axis, source, x, cell.value, yerr=cell.sd)
                    points.setdefault(source, []).append((x, cell.value))
            for source, of_source in points.items():
                axis.plot(*zip(*of_source), dash, color=STYLES[source][0], linewidth=1.2)
        if ticks[0] > 0 and ticks[-1] / ticks[0] >= 8:
            axis.set_xscale('log')
        axis.set_xticks(ticks, [f'{tick:g}' for tick in ticks])
        axis.minorticks_off()
        heading = column_title(column)
        if len(tables) > 1:
            heading = f'{table.title}, {heading}'
        axis.set_title(_escape(heading), fontsize='medium')
        axis.set_xlabel(_escape('shots per class' if value_name == 'shots' else value_name))
        axis.set_ylabel('accuracy (%)')
        axis.grid(alpha=0.3)
    return figure


def _grid(
    panels: int, width: float, height: float, share_y: bool = False
) -> Tuple[Figure, List[Axes]]:
    """Make a figure with a number of panels; ``width`` and ``height`` in inches per panel."""
    across, down = min(panels, PANELS_PER_ROW), math.ceil(panels / PANELS_PER_ROW)
    figure = Figure(figsize=(2 + width * across, down * height + 0.8), layout='constrained')
    axes = list(figure.subplots(down, across, sharey=share_y, squeeze=False).flat)
    for axis in axes[panels:]:
        axis.set_visible(False)
    return figure, axes[:panels]


def _point(
    axis: Axes,
    source: str,
    x: float,
    y: float,
    xerr: Optional[float] = None,
    yerr: Optional[float] = None,
) -> None:
    """Draw a marker with error bars of one standard deviation; None draws no bar."""
    color, marker = STYLES[source]
    axis.errorbar(
        x, y, xerr=xerr, yerr=yerr, fmt=marker, color=color, markersize=4, capsize=2.5, linewidth=1
    )


def _escape(text: str) -> str:
    """Escape dollar signs, between which matplotlib expects formulas."""
    return text.replace('$', r'\$')
