"""Assign to every image another image: its mask as a control, or its background in a test."""

import random
from typing import List, Sequence

import numpy as np

from ..io.errors import UserError


def shuffled(labels: Sequence[int], seed: int) -> List[int]:
    """A random permutation of images without fixed points, to images of other classes.

    Every image is assigned to exactly one other. It is of another class, unless more than half of
    the images have the same class; then it is so for as many as random swaps achieve.

    Args:
        labels: of the N images.
        seed: of the permutation.

    Returns:
        (N,), for each image the index of another one.

    Raises:
        UserError: there are fewer than two images.
    """
    count, rng = len(labels), random.Random(seed)
    _check_count(count)
    other = list(range(count))
    rng.shuffle(other)
    order = list(range(count))
    rng.shuffle(order)
    for i in range(count):
        if labels[other[i]] == labels[i]:
            # The first of the images in random order with which a swap suits both
            for j in order:
                if labels[other[j]] != labels[i] and labels[other[i]] != labels[j]:
                    other[i], other[j] = other[j], other[i]
                    break
    for i in range(count):
        if other[i] == i:
            j = next(j for j in order if j != i)
            other[i], other[j] = other[j], other[i]
    return other


def area_matched(areas: Sequence[float]) -> List[int]:
    """A permutation of images without fixed points to images with masks of nearly the same area.

    In the order of their areas, neighbours are assigned to each other in pairs; of an odd number
    of images, the last three in a circle.

    Args:
        areas: foreground share of the N masks.

    Returns:
        (N,), for each image the index of another one.

    Raises:
        UserError: there are fewer than two images.
    """
    count = len(areas)
    _check_count(count)
    order = np.argsort(areas, kind='stable').tolist()
    first_of_last = count - (3 if count % 2 else 2)
    groups = [order[i : i + 2] for i in range(0, first_of_last, 2)] + [order[first_of_last:]]
    other = [0] * count
    for group in groups:
        for image, following in zip(group, group[1:] + group[:1]):
            other[image] = following
    return other


def _check_count(count: int) -> None:
    if count < 2:
        raise UserError(f'masks or backgrounds of other images need at least two, not {count}')
