"""The figures of an analysis, with one panel per column of the results (base, new, ...)."""

from typing import Callable, Dict, List

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..evaluation import STYLES
from ..names import Source
from .attention import MAPS
from .calibration import equal_parts, score_bins
from .collect import Column
from .per_class import ClassAccuracy
from .summary import backbone_gate, foreground_gate

MOST_BARS = 40  # number of classes in a bar chart; of more classes the middle ones are left out
_PANELS_PER_ROW = 4


def _panels(
    columns: List[Column], draw: Callable[[Axes, Column], None], height: float = 3.2
) -> Figure:
    """Make a figure and call ``draw(axis, column)`` for each column; ``height`` is per panel."""
    across = min(len(columns), _PANELS_PER_ROW)
    down = -(-len(columns) // across)
    figure = Figure(figsize=(1 + 3.4 * across, height * down), layout='constrained')
    axes = figure.subplots(down, across, squeeze=False).flat
    for axis, column in zip(axes, columns):
        draw(axis, column)
        axis.set_title(column.name, fontsize='medium')
    for axis in list(axes)[len(columns) :]:
        axis.set_visible(False)
    return figure


def _line(axis: Axes, source: str, x, y, label: str) -> None:
    color, marker = STYLES[source]
    axis.plot(x, y, marker=marker, color=color, markersize=4, linewidth=1.2, label=label)


def shift_figure(columns: List[Column], titles: Dict[str, str]) -> Figure:
    """Draw accuracy over D_fg in parts of equal size; large markers: means over all images."""

    def draw(axis: Axes, column: Column) -> None:
        for source, label in titles.items():
            known = column.known(f'{source}/shift')
            if known.any():
                shift = column.values[f'{source}/shift'][known]
                correct = column.correct(source)[known]
                bins = equal_parts(shift, correct)
                _line(axis, source, [b.score for b in bins], [100 * b.true for b in bins], label)
                color, marker = STYLES[source]
                axis.plot(
                    shift.mean(),
                    100 * correct.mean(),
                    marker,
                    color=color,
                    markersize=11,
                    markeredgecolor='black',
                )
        axis.set_xlabel('foreground shift D_fg (nats)')
        axis.set_ylabel('accuracy (%)')
        axis.grid(alpha=0.3)
        axis.legend(fontsize='small')

    return _panels(columns, draw)


def reliability_figure(columns: List[Column], titles: Dict[str, str]) -> Figure:
    """Draw reliability diagrams: accuracy over confidence, and the number of predictions above."""

    def draw(axis: Axes, column: Column) -> None:
        axis.plot([0, 1], [0, 1], color='black', linewidth=0.8, linestyle=':')
        counts = axis.inset_axes((0, 1.04, 1, 0.2))
        for source, label in titles.items():
            bins = score_bins(column.values[f'{source}/confidence'], column.correct(source))
            _line(axis, source, [b.score for b in bins], [b.true for b in bins], label)
            counts.plot(
                [b.score for b in bins],
                [b.size for b in bins],
                color=STYLES[source][0],
                linewidth=1,
            )
        counts.set(xlim=(0, 1), ylabel='images', xticks=[])
        axis.set(xlim=(0, 1), ylim=(0, 1.02), xlabel='confidence', ylabel='share right')
        axis.grid(alpha=0.3)
        axis.legend(fontsize='small')

    return _panels(columns, draw, 4.2)


def attention_figure(columns: List[Column], titles: Dict[str, str]) -> Figure:
    """Draw the mean share of each map inside the mask.

    The dotted line is the share of the image that is foreground.
    """

    def draw(axis: Axes, column: Column) -> None:
        width = 0.8 / len(titles)
        for i, (source, label) in enumerate(titles.items()):
            shares = [column.values[f'{source}/{name}'] for name in MAPS]
            shares = [share[np.isfinite(share)] for share in shares]
            errors = [
                share.std(ddof=1) / len(share) ** 0.5 if len(share) > 1 else 0 for share in shares
            ]
            axis.bar(
                np.arange(len(MAPS)) + (i - (len(titles) - 1) / 2) * width,
                [share.mean() if len(share) else 0 for share in shares],
                width,
                yerr=errors,
                color=STYLES[source][0],
                capsize=2,
                label=label,
            )
        axis.axhline(
            np.nanmean(column.values['area']), color='black', linestyle=':', label='foreground area'
        )
        axis.set_xticks(range(len(MAPS)), MAPS.values())
        axis.set_ylabel('share inside the mask')
        axis.legend(fontsize='small')

    return _panels(columns, draw)


def gate_figure(columns: List[Column]) -> Figure:
    """Draw reliability diagrams of the gates.

    They show the share of images whose foreground (r) or CLIP prediction (b) deserved trust, over
    the trust score.
    """

    def draw(axis: Axes, column: Column) -> None:
        axis.plot([0, 1], [0, 1], color='black', linewidth=0.8, linestyle=':')
        curves = [
            ('r, against r*', 'o', '#009e73', *foreground_gate(column)),
            ('b, against CLIP being right', 's', '#cc79a7', *backbone_gate(column)),
        ]
        for label, marker, color, trust, target in curves:
            bins = equal_parts(trust, target)
            axis.plot(
                [b.score for b in bins],
                [b.true for b in bins],
                marker=marker,
                markersize=5,
                color=color,
                linewidth=0.8,
                label=f'{label} ({len(trust)} images)',
            )
        axis.set(
            xlim=(-0.02, 1.02),
            ylim=(-0.02, 1.02),
            xlabel='trust score',
            ylabel='share where trust was due',
        )
        axis.grid(alpha=0.3)
        axis.legend(fontsize='small')

    return _panels(columns, draw)


def class_figure(name: str, rows: List[ClassAccuracy], label: str) -> Figure:
    """Draw the gain of every class in points, the largest first."""
    rows = sorted(rows, key=lambda row: -row.gain)
    if len(rows) > MOST_BARS:
        rows = rows[: MOST_BARS // 2] + rows[-MOST_BARS // 2 :]
    figure = Figure(figsize=(7, 1.2 + 0.19 * len(rows)), layout='constrained')
    axis = figure.subplots()
    axis.barh(
        range(len(rows)),
        [row.gain for row in rows],
        color=[STYLES[Source.FVGPT if row.gain >= 0 else Source.TUNER][0] for row in rows],
    )
    axis.set_yticks(
        range(len(rows)), [row.name.replace('$', r'\$') for row in rows], fontsize='small'
    )
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.axvline(0, color='black', linewidth=0.8)
    axis.set_xlabel(label)
    axis.set_title(name, fontsize='medium')
    axis.grid(axis='x', alpha=0.3)
    return figure
