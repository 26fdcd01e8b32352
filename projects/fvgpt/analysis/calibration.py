"""Calibration: of the confidences of predictions, and of the trust scores r and b of the gates."""

from typing import Dict, List, NamedTuple

import numpy as np
from scipy.stats import rankdata

BINS = 15  # number of bins of equal width, as in Guo et al. (2017)
# Parts of equal size: their largest number, and the least number of images per part, since a mean
# over fewer images is too noisy.
MOST_PARTS, SMALLEST_PART = 8, 10


class Bin(NamedTuple):
    """Scores between ``low`` and ``high``.

    Attributes:
        low, high: limits of the bin.
        size: number of scores in it.
        score: mean score.
        true: share of the scores whose event occurred, such as a correct prediction.
    """

    low: float
    high: float
    size: int
    score: float
    true: float


def score_bins(score: np.ndarray, true: np.ndarray, bins: int = BINS) -> List[Bin]:
    """Sort scores into bins (low, high] of equal width; 0 is in the first one.

    Args:
        score: (N,) in [0, 1].
        true: (N,) in {0, 1}, whether the event occurred.
        bins: number of bins.

    Returns:
        The bins that are not empty.
    """
    edges = np.linspace(0, 1, bins + 1)
    index = np.digitize(score, edges[1:-1], right=True)
    found = []
    for i in np.unique(index):
        chosen = index == i
        found.append(_bin(edges[i], edges[i + 1], score[chosen], true[chosen]))
    return found


def _bin(low: float, high: float, score: np.ndarray, true: np.ndarray) -> Bin:
    return Bin(float(low), float(high), len(score), float(score.mean()), float(true.mean()))


def equal_parts(score: np.ndarray, true: np.ndarray) -> List[Bin]:
    """Sort scores and divide them into at most ``MOST_PARTS`` parts of equal size.

    Args:
        score: (N,), not restricted to [0, 1].
        true: (N,) in {0, 1}, whether the event occurred.

    Returns:
        The parts, in the order of their scores; none without scores.
    """
    order = np.argsort(score, kind='stable')
    count = max(1, min(MOST_PARTS, len(score) // SMALLEST_PART))
    return [
        _bin(score[part].min(), score[part].max(), score[part], true[part])
        for part in np.array_split(order, count)
        if len(part)
    ]


def expected_calibration_error(bins: List[Bin]) -> float:
    """ECE = sum over bins of n / N |share true - mean score| (Guo et al., 2017, eq. 3).

    nan without samples.
    """
    total = sum(b.size for b in bins)
    return sum(b.size * abs(b.true - b.score) for b in bins) / total if total else float('nan')


def auroc(score: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve.

    It is the probability that a positive has a higher score than a negative, where ties count half.

    Args:
        score: (N,).
        positive: (N,) bool or in {0, 1}.

    Returns:
        The probability; nan if there are no positives or no negatives.
    """
    positive = np.asarray(positive, bool)
    count = int(positive.sum())
    if count in (0, len(positive)):
        return float('nan')
    ranks = rankdata(score)[positive]  # equal scores share their mean rank
    return float((ranks.sum() - count * (count + 1) / 2) / (count * (len(positive) - count)))


def binary_cross_entropy(score: np.ndarray, true: np.ndarray) -> float:
    """Mean binary cross entropy in nats.

    As in torch, logarithms are at least -100.

    Args:
        score: (N,) in [0, 1].
        true: (N,) in {0, 1}, whether the event occurred.
    """
    with np.errstate(divide='ignore'):
        log_score = np.maximum(np.log(score), -100)
        log_complement = np.maximum(np.log(1 - score), -100)
    return float(-(true * log_score + (1 - true) * log_complement).mean())


def gate_summary(trust: np.ndarray, target: np.ndarray) -> Dict[str, float]:
    """Compare the trust scores of a gate with what it should have trusted.

    Args:
        trust: (N,) in [0, 1], r or b.
        target: (N,) in {0, 1}: r* for r, whether CLIP is right for b.

    Returns:
        ``images``: N. If N > 0 also ``trust``: mean score; ``positive``: share of targets that are
        1; ``auroc``; ``bce``; ``bce_constant``: the BCE of a constant score equal to ``positive``,
        which a gate reaches without any knowledge of the image; and ``trust_if_positive`` and
        ``trust_if_negative``: the mean scores of both kinds of images, as far as there are any.
    """
    trust, target = np.asarray(trust, np.float64), np.asarray(target, np.float64)
    summary: Dict[str, float] = dict(images=len(trust))
    if len(trust):
        mean = np.full_like(trust, target.mean())
        summary.update(
            trust=float(trust.mean()),
            positive=float(target.mean()),
            auroc=auroc(trust, target),
            bce=binary_cross_entropy(trust, target),
            bce_constant=binary_cross_entropy(mean, target),
        )
        for name, chosen in (
            ('trust_if_positive', target == 1),
            ('trust_if_negative', target == 0),
        ):
            if chosen.any():
                summary[name] = float(trust[chosen].mean())
    return summary
