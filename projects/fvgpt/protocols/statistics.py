"""Means, standard deviations and confidence intervals of accuracies over runs or data sets."""

import math
from statistics import mean, stdev
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
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


Part = Tuple[np.ndarray, np.ndarray]
"""Outcomes (S, M) bool before and after: S seeds (rows), M test images, 1 if the image is right."""


def crossed_difference(parts: Sequence[Part], confidence: float = 0.95) -> Interval:
    """Return the mean difference of paired outcomes with an interval over seeds and test images.

    Both are drawn at random: other seeds and other test images would give another difference. With
    d_si = after - before of seed s and image i, and s^2 the sample variances of the means over
    images (of each seed), of those over seeds (of each image) and of what is left,

        SE^2 = s_seeds^2 / S + s_images^2 / M - s_rest^2 / (S M)

    (two-way random effects), where the last term corrects for the rest that is in both others.
    The interval is Student's t with Satterthwaite's degrees of freedom. A percentile bootstrap over
    seeds and images underestimates the variance of three seeds by a third and has no t: it is too
    narrow if seeds differ much. With one seed, only the images vary.

    Args:
        parts: one for a plain accuracy; two, of base and of new, for their harmonic mean, which is
            that of the means over seeds and images. Its variance is that of the linear
            approximation (delta method).
        confidence: probability that the interval covers.

    Returns:
        The interval in points; ``n`` is S. No limits if there is only one seed and image.
    """
    seeds = len(parts[0][0])
    sides = [[side[k].mean() for side in parts] for k in (0, 1)]
    before, after = (_accuracy(means) for means in sides)
    effects = [
        100 * (g_after * part[1].astype(float) - g_before * part[0].astype(float))
        for part, g_before, g_after in zip(parts, *map(_gradient, sides))
    ]
    of_seeds, of_images, of_rest, images = 0.0, 0.0, 0.0, 0
    if seeds > 1:
        of_seeds = float(np.var(sum(effect.mean(1) for effect in effects), ddof=1)) / seeds
    for effect in effects:
        count = effect.shape[1]
        images += count
        if count > 1:
            of_images += float(np.var(effect.mean(0), ddof=1)) / count
            rest = effect - effect.mean(0) - effect.mean(1, keepdims=True) + effect.mean()
            if seeds > 1:
                of_rest += float((rest**2).sum()) / ((seeds - 1) * (count - 1) * seeds * count)
    if seeds == 1 and images == len(parts):
        return Interval(after - before, None, None, seeds)
    variance = max(of_seeds + of_images - of_rest, of_seeds, of_images)
    spread_of_it = of_seeds**2 / max(seeds - 1, 1) + of_images**2 / max(images - len(parts), 1)
    degrees = variance**2 / spread_of_it if spread_of_it else math.inf
    half = float(stdtrit(degrees, (1 + confidence) / 2)) * math.sqrt(variance) if variance else 0.0
    return Interval(after - before, after - before - half, after - before + half, seeds)


def _accuracy(means: Sequence[float]) -> float:
    """Percent: of one mean, or the harmonic mean of two."""
    return 100 * (float(means[0]) if len(means) == 1 else harmonic_mean(*map(float, means)))


def _gradient(means: Sequence[float]) -> List[float]:
    """Derivatives of the harmonic mean, 2 N^2 / (B + N)^2 and 2 B^2 / (B + N)^2; 1 for one mean."""
    if len(means) == 1:
        return [1.0]
    base, new = means
    total = base + new
    return [2 * (new / total) ** 2, 2 * (base / total) ** 2] if total else [0.0, 0.0]
