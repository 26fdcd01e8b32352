"""The base and the new half of a data set's classes."""

from typing import List, Sequence

from ..names import Subset


def subset_labels(labels: Sequence[int], subset: str) -> List[int]:
    """Labels of a subset of the classes, sorted.

    Of n classes the first ceil(n / 2) are the base classes and the others the new classes, as in
    CoCoOp (Zhou et al., CVPR 2022).

    Args:
        labels: labels of all classes, in any order.
        subset: a :class:`~fvgpt.names.Subset`.
    """
    labels = sorted(set(labels))
    half = (len(labels) + 1) // 2
    return {Subset.ALL: labels, Subset.BASE: labels[:half], Subset.NEW: labels[half:]}[
        Subset(subset)
    ]
