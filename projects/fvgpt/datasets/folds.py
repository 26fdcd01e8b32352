"""Folds of training images, for tuners that are each trained without one of them."""

from collections import Counter
from typing import Sequence

import numpy as np

from ..io.errors import UserError


def assign_folds(
    labels: Sequence[int], count: int, seed: int, class_names: Sequence[str] = ()
) -> np.ndarray:
    """Fold 0 .. count - 1 of each image, (N,), the same share of every class in every fold.

    The images of a class are shuffled, and all images are dealt out class after class. So per class
    and in total, two folds differ by at most one image. The result depends on the labels and the
    seed only, so an image is identified by its position in the data set.

    Args:
        labels: (N,).
        count: K, number of folds, at least 2.
        seed: of the shuffle.
        class_names: in label order, for messages.

    Raises:
        UserError: a class has fewer images than there are folds.
    """
    few = [(n, label) for label, n in Counter(labels).items() if n < count]
    if few:
        images, label = min(few)
        name = repr(class_names[label]) if label < len(class_names) else f'with label {label}'
        raise UserError(
            f'model.calibration_folds={count} needs {count} training images of each class, but '
            f'the class {name} has {images}: set num_shots to {count} or more, or fewer folds, or '
            'model.calibration_folds=None'
        )
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_class = shuffled[np.argsort(np.asarray(labels)[shuffled], kind='stable')]
    folds = np.empty(len(labels), int)
    folds[by_class] = np.arange(len(labels)) % count
    return folds
