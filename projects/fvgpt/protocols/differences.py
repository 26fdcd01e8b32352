"""Answers of a protocol: differences between two of its rows, paired by seed and test image."""

from functools import cache
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import numpy as np

from ..evaluation.outcomes import OUTCOMES, Outcome, read_outcomes
from ..names import Source
from .comparison import Comparison
from .published_numbers import title
from .statistics import HARMONIC, Interval, Part, crossed_difference, paired_difference
from .tables import Cell, Line, Table, column_title, line_label
from .work_dir import Run, WorkDir


def difference_tables(work: WorkDir) -> Tuple[List[Table], List[str]]:
    """The tables of differences, one per tuner and data set, and the answers in one sentence each.

    A difference is paired: by seed and, in accuracies over the same test images, by image. Its 95 %
    interval is over seeds and test images (:func:`~.statistics.crossed_difference`); over seeds
    only (:func:`~.statistics.paired_difference`) for columns that are no accuracy over images, and
    for runs without ``outcomes.npz``.

    Raises:
        UserError: a file of outcomes cannot be read; names it.
    """
    groups: Dict[Tuple[str, str], List[Run]] = {}
    for run in work.runs:
        groups.setdefault((run.tuner, run.dataset), []).append(run)
    several = len(groups) > 1
    tables, answers = [], []
    for (tuner, dataset), runs in groups.items():
        lines = []
        place = f'{title(tuner)} on {title(dataset)}'
        for comparison in work.compare:
            pairs = _pairs(runs, comparison)
            name = _names(comparison, tuner)
            cells, by_column = {}, {}
            for column in work.columns:
                found = _difference(work.folder, pairs, comparison, column)
                if found is not None:
                    interval, _ = found
                    by_column[column] = found
                    cells[column] = Cell(interval.estimate, None, interval.low, interval.high)
            if cells:
                lines.append(
                    Line('difference', tuner, comparison.of.variant, name, cells, str(len(pairs)))
                )
            if comparison.sentence:
                answer = _answer(comparison, tuner, name, by_column.get(comparison.column))
                answers.append(f'{place}: {answer}' if several else answer)
        if lines:
            groups_shown = list(dict.fromkeys((run.tuner, run.variant) for run in runs))
            heading = f'Paired differences, {place}'
            tables.append(Table(heading, work.columns, 'seeds', groups_shown, lines))
    return tables, answers


def _pairs(runs: List[Run], comparison: Comparison) -> List[Tuple[Run, Run]]:
    """(before, after): the finished runs of both sides with the same seed."""
    by_side = [
        {r.seed: r for r in runs if r.variant == side.variant and side.source in r.results}
        for side in (comparison.minus, comparison.of)
    ]
    return [(by_side[0][s], by_side[1][s]) for s in sorted(by_side[0]) if s in by_side[1]]


def _names(comparison: Comparison, tuner: str) -> str:
    """Title of a difference: ``CoOp + FVG-PT, true masks, minus CoOp``."""
    of = line_label(comparison.of.source, tuner, comparison.of.variant)
    minus = line_label(comparison.minus.source, tuner, comparison.minus.variant)
    if comparison.minus.source != Source.FVGPT:
        minus = line_label(comparison.minus.source, tuner, '')
    elif comparison.of.source == comparison.minus.source:
        minus = comparison.minus.variant or 'default'
    return f'{of}, minus {minus}'


def _difference(
    folder: Path, pairs: List[Tuple[Run, Run]], comparison: Comparison, column: str
) -> Optional[Tuple[Interval, int]]:
    """The difference in a column and the number of its test images, 0 if it is over seeds only."""
    before, after = comparison.minus.source, comparison.of.source
    parts: List[Part] = []
    for name in HARMONIC.get(column, (column,)) if pairs else ():
        sides = [
            _outcomes(folder, [pair[k] for pair in pairs], name, source)
            for k, source in enumerate((before, after))
        ]
        if sides[0] is not None and sides[1] is not None and sides[0][0] == sides[1][0]:
            parts.append((sides[0][1], sides[1][1]))
    if pairs and len(parts) == len(HARMONIC.get(column, (column,))):
        return crossed_difference(parts), sum(part[0].shape[1] for part in parts)
    rows = [(first.results[before], second.results[after]) for first, second in pairs]
    interval = paired_difference(rows, column)
    return None if interval is None else (interval, 0)


def _outcomes(
    folder: Path, runs: List[Run], column: str, source: str
) -> Optional[Tuple[List[str], np.ndarray]]:
    """The images (M,) of a column, and outcomes (S, M) of S runs; None if images are not known.

    None as well if the runs were tested on different images.
    """
    rows, images = [], None
    for run in runs:
        outcome = _read(folder / run.folder / OUTCOMES).get(column)
        if outcome is None or source not in outcome.correct:
            return None
        if images is not None and images != outcome.images:
            return None
        images = outcome.images
        rows.append(outcome.correct[source])
    return None if images is None else (images, np.stack(rows))


@cache
def _read_version(path: Path, *version: int) -> Dict[str, Outcome]:
    return read_outcomes(path)


def _read(path: Path) -> Dict[str, Outcome]:
    """The outcomes of a run; empty if it has none."""
    if not path.is_file():
        return {}
    state = path.stat()
    return _read_version(path, state.st_mtime_ns, state.st_size)


def _answer(
    comparison: Comparison, tuner: str, name: str, found: Optional[Tuple[Interval, int]]
) -> str:
    """The sentence with its difference, what it is computed from, and whether it can be chance."""
    about = f'{column_title(comparison.column)}: {name}'
    if found is None:
        names = comparison.sentence.format(difference='...', tuner=title(tuner))
        return f'Not known yet, no seed has both runs: {names} ({about}).'
    interval, images = found
    middle, low, high = (
        None if figure is None else round(figure, 2) + 0.0 for figure in interval[:3]
    )
    difference = f'{middle:+.2f}'
    if low is not None and high is not None:
        difference += f' ± {(high - low) / 2:.2f}'
    basis = f'{interval.n} seed{"s" * (interval.n != 1)}'
    basis += f', {images} test images' if images else ''
    basis += ', 95 % interval' if low is not None else ', no interval'
    answer = comparison.sentence.format(difference=difference, tuner=title(tuner))
    answer = f'{answer} ({about}; {basis}).'
    if images and interval.low == interval.high == 0:
        answer += ' Both are right on the same images, so the interval has no width: test more.'
    elif low is not None and high is not None and low <= 0 <= high:
        answer += ' The interval contains 0: this may be chance.'
    return answer
