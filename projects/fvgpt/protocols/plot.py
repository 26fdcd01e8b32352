"""The figure of a report: accuracies with their deviation over seeds, or lines over the value that the variants differ in."""

import math
import re
from itertools import cycle
from typing import Dict, List, Literal, Optional, Sequence, Tuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..evaluation import STYLES, TITLES
from .published import title
from .tables import Block, Cell, Group, column_title

DASHES: Tuple[Literal['-', '--', ':', '-.'], ...] = ('-', '--', ':', '-.')  # of the tuners
ACROSS = 4  # panels
Sources = Dict[str, Cell]  # source -> its number
_NUMBER = re.compile(r'(\D*?)([-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)(\D*)')


def draw(name: str, blocks: List[Block], wide: int) -> Figure:
    """A panel a column with a line for each row of the protocol; over a numeric variant, a panel a column and data set.

    Args:
        name: title of the figure. blocks: of accuracies, the average first. wide: with more columns, a panel a row.
    """
    tuners = list(dict.fromkeys(tuner for block in blocks for tuner, _ in block.groups))
    axis = sweep([variant for block in blocks for _, variant in block.groups])
    if not blocks:
        figure, name = Figure(figsize=(6, 1.5), layout='constrained'), f'{name}: no run is done'
    elif axis:
        figure = _draw_sweep(blocks, tuners, *axis)
    else:
        figure = _draw_dots(_dots(blocks, tuners, wide))
    tuner = title(tuners[0]) if len(tuners) == 1 else 'tuner'
    handles = [
        Line2D(
            [],
            [],
            linestyle='',
            marker=marker,
            color=color,
            label=_plain(TITLES[source].format(tuner=tuner)),
        )
        for source, (color, marker) in STYLES.items()
    ]
    if axis and len(tuners) > 1:
        handles += [
            Line2D([], [], linestyle=dash, color='black', label=_plain(title(tuner)))
            for tuner, dash in zip(tuners, cycle(DASHES))
        ]
    figure.legend(handles=handles, loc='outside lower center', ncols=len(handles), frameon=False)
    figure.suptitle(_plain(name))
    return figure


def sweep(variants: Sequence[str]) -> Optional[Tuple[str, Dict[str, float]]]:
    """Name of the value and variant -> value, where all variants are one word with another number (``16 shots``)."""
    matches = {variant: match for variant in variants if (match := _NUMBER.fullmatch(variant))}
    if len(matches) < max(2, len(set(variants))):
        return None
    names = [(match[1] + match[3]).strip(' =:_') for match in matches.values()]
    if len({name.removesuffix('s') for name in names}) > 1:
        return None
    return names[-1], {variant: float(match[2]) for variant, match in matches.items()}


def _sources(block: Block, group: Group, column: str) -> Sources:
    """The numbers of a row of the protocol: from its own lines, else from those that hold for its tuner, or for all."""
    found: Sources = {}
    for scope in (('', ''), (group[0], ''), group):
        found.update(
            {
                line.kind: line.cells[column]
                for line in block.lines
                if line.kind in STYLES
                and (line.tuner, line.variant) == scope
                and column in line.cells
            }
        )
    return found


def _dots(blocks: List[Block], tuners: List[str], wide: int) -> Dict[str, Dict[str, Sources]]:
    """Panel -> line -> numbers."""
    panels: Dict[str, Dict[str, Sources]] = {}
    for block in blocks:
        turned = len(block.columns) > wide  # then the block's title names the tuner
        for tuner, variant in block.groups:
            names = [
                block.title if len(blocks) > 1 else '',
                title(tuner) if len(tuners) > 1 and not turned else '',
                variant,
            ]
            row = ', '.join(filter(None, names)) or title(tuner)
            for column in block.columns:
                panel, line = (row, column_title(column)) if turned else (column_title(column), row)
                panels.setdefault(panel, {})[line] = _sources(block, (tuner, variant), column)
    return panels


def _draw_dots(panels: Dict[str, Dict[str, Sources]]) -> Figure:
    lines = max(map(len, panels.values()))
    figure, axes = _grid(len(panels), 2.6, 1.2 + 0.34 * lines, share_y=True)
    for axis, (panel, rows) in zip(axes, panels.items()):
        for y, cells in enumerate(rows.values()):
            for shift, source in zip((-0.2, 0, 0.2), STYLES):
                if source in cells:
                    _point(axis, source, cells[source].value, y + shift, xerr=cells[source].sd)
        axis.set_yticks(range(len(rows)), [_plain(label) for label in rows])
        axis.set_ylim(lines - 0.5, -0.5)
        axis.set_title(_plain(panel), fontsize='medium')
        axis.set_xlabel('accuracy (%)')
        axis.locator_params(axis='x', nbins=5)
        axis.grid(axis='x', alpha=0.3)
    return figure


def _draw_sweep(
    blocks: List[Block], tuners: List[str], value_name: str, values: Dict[str, float]
) -> Figure:
    if len(blocks) > 1 and len(blocks[0].columns) > 1:
        blocks = blocks[:1]  # the average says what many panels would not
    panels = [(block, column) for block in blocks for column in block.columns]
    figure, axes = _grid(len(panels), 2.8, 2.6)
    ticks = sorted(set(values.values()))
    for axis, (block, column) in zip(axes, panels):
        for tuner, dash in zip(tuners, cycle(DASHES)):
            lines: Dict[str, List[Tuple[float, float]]] = {}
            for group in sorted(
                (group for group in block.groups if group[0] == tuner),
                key=lambda group: values[group[1]],
            ):
                for source, cell in _sources(block, group, column).items():
                    x = values[group[1]]
                    _point(axis, source, x, cell.value, yerr=cell.sd)
                    lines.setdefault(source, []).append((x, cell.value))
            for source, points in lines.items():
                axis.plot(*zip(*points), dash, color=STYLES[source][0], linewidth=1.2)
        if ticks[0] > 0 and ticks[-1] / ticks[0] >= 8:
            axis.set_xscale('log')
        axis.set_xticks(ticks, [f'{tick:g}' for tick in ticks])
        axis.minorticks_off()
        axis.set_title(
            _plain(', '.join([block.title] * (len(blocks) > 1) + [column_title(column)])),
            fontsize='medium',
        )
        axis.set_xlabel(_plain('shots per class' if value_name == 'shots' else value_name))
        axis.set_ylabel('accuracy (%)')
        axis.grid(alpha=0.3)
    return figure


def _grid(
    panels: int, width: float, height: float, share_y: bool = False
) -> Tuple[Figure, List[Axes]]:
    across, down = min(panels, ACROSS), math.ceil(panels / ACROSS)
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
    """A marker with a bar of one standard deviation to either side; none where there is no deviation."""
    color, marker = STYLES[source]
    axis.errorbar(
        x, y, xerr=xerr, yerr=yerr, fmt=marker, color=color, markersize=4, capsize=2.5, linewidth=1
    )


def _plain(text: str) -> str:
    """Without the meaning that matplotlib gives to a dollar sign."""
    return text.replace('$', r'\$')
