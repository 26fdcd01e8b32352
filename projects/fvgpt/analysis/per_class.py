"""Which classes and which images one classifier gains on another."""

from typing import List, NamedTuple, Sequence, Tuple

import numpy as np


class ClassAccuracy(NamedTuple):
    """A class, its number of images, and the accuracy of each source in percent."""

    name: str
    images: int
    accuracy: Tuple[float, ...]

    @property
    def gain(self) -> float:
        """Of the last source over the one before, in points."""
        return self.accuracy[-1] - self.accuracy[-2]


def class_accuracies(
    names: Sequence[str], labels: np.ndarray, correct: Sequence[np.ndarray]
) -> List[ClassAccuracy]:
    """Accuracy of every class that has images, in label order; correct: (N,) bool of each source."""
    rows = []
    for label in np.unique(labels):
        chosen = labels == label
        rows.append(
            ClassAccuracy(
                names[label],
                int(chosen.sum()),
                tuple(100 * float(c[chosen].mean()) for c in correct),
            )
        )
    return rows


def changed(before: np.ndarray, after: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Indices of images that are right only after (fixed) and only before (broken), of (N,) bool each."""
    return np.flatnonzero(after & ~before), np.flatnonzero(before & ~after)


def evenly_spread(indices: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` of them, evenly spaced, so that nobody chose them."""
    if len(indices) <= count:
        return indices
    return indices[np.linspace(0, len(indices) - 1, count).round().astype(int)]
