"""Means, spreads and intervals of accuracies over runs or over data sets."""

import math
from statistics import mean, stdev
from typing import Dict, NamedTuple, Optional, Sequence, Tuple

from scipy.special import stdtrit

from ..evaluation import harmonic_mean

Row = Dict[str, float]  # column -> accuracy in percent
HARMONIC = {'h': ('base', 'new'), 'open_h': ('open_base', 'open_new')}


class Interval(NamedTuple):
    """An estimate with the limits of its interval; both are None where ``n`` < 2 leaves none to be had."""

    estimate: float
    low: Optional[float]
    high: Optional[float]
    n: int


def center(rows: Sequence[Row], column: str) -> Optional[float]:
    """Mean of a column; H is the harmonic mean of the means of its halves.

    None where a row lacks the column, or there is no row.
    """
    return _center(rows, column) if _complete(rows, column) else None


def _complete(rows: Sequence[Row], column: str) -> bool:
    return bool(rows) and all(
        part in row for row in rows for part in HARMONIC.get(column, (column,))
    )


def _center(rows: Sequence[Row], column: str) -> float:
    if column in HARMONIC:
        first, second = (_center(rows, half) for half in HARMONIC[column])
        return harmonic_mean(first, second)
    return mean(row[column] for row in rows)


def spread(rows: Sequence[Row], column: str) -> Optional[float]:
    """Sample standard deviation of a column over rows (of H: of each row's own H); None with fewer than two rows."""
    return (
        stdev(_center([row], column) for row in rows)
        if len(rows) > 1 and _complete(rows, column)
        else None
    )


def paired_difference(
    pairs: Sequence[Tuple[Row, Row]], column: str, confidence: float = 0.95
) -> Optional[Interval]:
    """What the second row of the pairs has over the first, in points, with Student's t interval.

    The estimate is the difference of :func:`center`, so that it is what the table's means differ by. Its standard error is
    the jackknife's, sqrt((n - 1) / n * sum (d_i - mean d)^2) over the estimates d_i without pair i: for a plain mean that is
    stdev(differences) / sqrt(n) exactly, and it holds for the harmonic mean of means as well (Efron and Stein, 1981).

    Args:
        pairs: rows of the same seed, or means of the same data set, before and after. column: of both.

    Returns:
        None where a row lacks the column, or there is no pair.
    """
    before, after = [list(rows) for rows in zip(*pairs)] if pairs else ([], [])
    if not (_complete(before, column) and _complete(after, column)):
        return None
    n, estimate = len(pairs), _center(after, column) - _center(before, column)
    if n < 2:
        return Interval(estimate, None, None, n)
    left_out = [
        _center(after[:i] + after[i + 1 :], column) - _center(before[:i] + before[i + 1 :], column)
        for i in range(n)
    ]
    middle = mean(left_out)
    error = math.sqrt((n - 1) / n * sum((value - middle) ** 2 for value in left_out))
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * error  # Student's t quantile
    return Interval(estimate, estimate - half, estimate + half, n)
