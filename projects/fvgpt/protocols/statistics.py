"""Means, standard deviations and confidence intervals of accuracies over runs or data sets."""

import math
from statistics import mean, stdev
from typing import Dict, NamedTuple, Optional, Sequence, Tuple

from scipy.special import stdtrit

from ..evaluation import harmonic_mean

Row = Dict[str, float]
"""Column -> accuracy in percent, of one run or averaged over runs."""

HARMONIC = {'h': ('base', 'new'), 'open_h': ('open_base', 'open_new')}
"""Columns that are the harmonic mean of two others."""


class Interval(NamedTuple):
    """An estimate from ``n`` pairs and the limits of its confidence interval.

    The limits are None if ``n`` < 2.
    """

    estimate: float
    low: Optional[float]
    high: Optional[float]
    n: int


def center(rows: Sequence[Row], column: str) -> Optional[float]:
    """Return the mean of a column over rows.

    H is the harmonic mean of the mean base and the mean new accuracy. None if there are no rows, or
    if a row lacks the column.
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
    """Return the sample standard deviation of a column over rows.

    That of H is over the H of each row. None with fewer than two rows, or if a row lacks the
    column.
    """
    if len(rows) < 2 or not _complete(rows, column):
        return None
    return stdev(_center([row], column) for row in rows)


def paired_difference(
    pairs: Sequence[Tuple[Row, Row]], column: str, confidence: float = 0.95
) -> Optional[Interval]:
    """Return the mean difference of pairs of rows in points, with a Student's t interval.

    The estimate is the difference of the :func:`center` of both sides, so it equals the difference
    of the means in the table. Its standard error is that of the jackknife,
    sqrt((n - 1) / n * sum (d_i - mean d)^2) over the estimates d_i without pair i. For a plain mean
    this is exactly stdev(differences) / sqrt(n), and it is also valid for the harmonic mean of
    means (Efron and Stein, 1981).

    Args:
        pairs: (before, after): rows of the same seed, or mean rows of the same data set.
        column: column of both.
        confidence: probability that the interval covers.

    Returns:
        None if there are no pairs, or if a row lacks the column.
    """
    before, after = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    if not (_complete(before, column) and _complete(after, column)):
        return None
    n, estimate = len(pairs), _center(after, column) - _center(before, column)
    if n < 2:
        return Interval(estimate, None, None, n)
    without_one = [
        _center(after[:i] + after[i + 1 :], column) - _center(before[:i] + before[i + 1 :], column)
        for i in range(n)
    ]
    middle = mean(without_one)
    error = math.sqrt((n - 1) / n * sum((value - middle) ** 2 for value in without_one))
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * error  # Student's t quantile
    return Interval(estimate, estimate - half, estimate + half, n)
