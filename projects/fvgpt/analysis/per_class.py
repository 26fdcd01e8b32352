"""Accuracy per class, and the images on which two classifiers differ."""

from typing import List, NamedTuple, Sequence, Tuple

import numpy as np


class ClassAccuracy(NamedTuple):
    """Name of a class, its number of images, and the accuracy of each source in percent."""

    name: str
    images: int
    accuracy: Tuple[float, ...]

    @property
    def gain(self) -> float:
        """Accuracy of the last source minus that of the one before, in points."""
        return self.accuracy[-1] - self.accuracy[-2]


def class_accuracies(
    names: Sequence[str], labels: np.ndarray, correct: Sequence[np.ndarray]
) -> List[ClassAccuracy]:
    """Compute the accuracy of every class that has images, in the order of the labels.

    Args:
        names: names of all classes.
        labels: (N,), true classes.
        correct: per source (N,) bool.
    """
    rows = []
    for label in np.unique(labels):
        chosen = labels == label
        accuracy = tuple(100 * float(of_source[chosen].mean()) for of_source in correct)
        rows.append(ClassAccuracy(names[label], int(chosen.sum()), accuracy))
    return rows


def changed(before: np.ndarray, after: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Find the images that only one of two classifiers predicts correctly.

    Args:
        before, after: (N,) bool, whether either classifier is correct.

    Returns:
        Indices of the images that only ``after`` predicts correctly (fixed) and of those that only
        ``before`` does (broken).
    """
    return np.flatnonzero(after & ~before), np.flatnonzero(before & ~after)


def evenly_spread(indices: np.ndarray, count: int) -> np.ndarray:
    """Select at most ``count`` indices, evenly spaced, so that the choice is not arbitrary."""
    if len(indices) <= count:
        return indices
    return indices[np.linspace(0, len(indices) - 1, count).round().astype(int)]
