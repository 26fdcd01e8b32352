"""How far to believe a number: confidences of predictions, and the trust scores r and b of the two gates."""

from typing import Dict, List, NamedTuple

import numpy as np
from scipy.stats import rankdata

BINS = 15  # of equal width, as in Guo et al. (2017)
MOST_PARTS, SMALLEST_PART = 8, 10  # of equal size; a mean over fewer images says little


class Bin(NamedTuple):
    """Scores between low and high: how many, their mean, and the share of them that came true."""

    low: float
    high: float
    size: int
    score: float
    true: float


def score_bins(score: np.ndarray, true: np.ndarray, bins: int = BINS) -> List[Bin]:
    """Scores (N,) in [0, 1] in bins (low, high] of equal width, 0 in the first, empty ones left out; true: (N,) in {0, 1}."""
    edges = np.linspace(0, 1, bins + 1)
    index = np.digitize(score, edges[1:-1], right=True)
    found = []
    for i in np.unique(index):
        chosen = index == i
        found.append(
            Bin(
                float(edges[i]),
                float(edges[i + 1]),
                int(chosen.sum()),
                float(score[chosen].mean()),
                float(true[chosen].mean()),
            )
        )
    return found


def equal_parts(score: np.ndarray, true: np.ndarray) -> List[Bin]:
    """Any scores (N,), sorted and cut into at most ``MOST_PARTS`` parts of equal size; true: (N,) in {0, 1}."""
    parts = np.array_split(
        np.argsort(score, kind='stable'), max(1, min(MOST_PARTS, len(score) // SMALLEST_PART))
    )
    return [
        Bin(
            float(score[part].min()),
            float(score[part].max()),
            len(part),
            float(score[part].mean()),
            float(true[part].mean()),
        )
        for part in parts
        if len(part)
    ]


def expected_calibration_error(bins: List[Bin]) -> float:
    """ECE = sum over bins of n / N |share true - mean score| (Guo et al., 2017, eq. 3); nan without samples."""
    total = sum(b.size for b in bins)
    return sum(b.size * abs(b.true - b.score) for b in bins) / total if total else float('nan')


def auroc(score: np.ndarray, positive: np.ndarray) -> float:
    """Probability that a positive's score is above a negative's, equal ones counted half; nan where either is missing.

    Args:
        score: (N,). positive: (N,) bool or in {0, 1}.
    """
    positive = np.asarray(positive, bool)
    count = int(positive.sum())
    if count in (0, len(positive)):
        return float('nan')
    ranks = rankdata(score)[positive]  # equal scores share their mean rank
    return float((ranks.sum() - count * (count + 1) / 2) / (count * (len(positive) - count)))


def binary_cross_entropy(score: np.ndarray, true: np.ndarray) -> float:
    """Mean BCE in nats of scores in [0, 1]; logarithms no lower than -100, as torch has it."""
    with np.errstate(divide='ignore'):
        hit, miss = (np.maximum(np.log(s), -100) for s in (score, 1 - score))
    return float(-(true * hit + (1 - true) * miss).mean())


def gate_summary(trust: np.ndarray, target: np.ndarray) -> Dict[str, float]:
    """Trust scores (N,) in [0, 1] of a gate against what was true, (N,) in {0, 1}.

    ``bce_constant`` is the BCE of always saying the share of positives: what a gate that knows nothing of the image reaches.
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
