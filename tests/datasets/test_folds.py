"""Folds of the training images: stratified, complete, and the same for the same seed."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fvgpt.datasets.folds import assign_folds


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=80), st.integers(2, 4), st.integers(0, 2**31)
)
def test_folds_share_every_class_and_all_images_evenly(labels, count, seed):
    labels = [*labels, *(label for label in set(labels) for _ in range(count))]  # enough of each
    folds = assign_folds(labels, count, seed)
    assert folds.shape == (len(labels),) and set(folds.tolist()) == set(range(count))
    for chosen in (range(len(labels)), *(np.flatnonzero(np.equal(labels, c)) for c in set(labels))):
        sizes = Counter(folds[i] for i in chosen).values()
        assert len(sizes) == count and max(sizes) - min(sizes) <= 1
    assert np.array_equal(folds, assign_folds(np.array(labels), count, seed))


def test_the_folds_of_a_seed_do_not_change_between_versions():
    labels = [0, 1, 0, 1, 0, 1, 0, 1, 2, 2]
    assert assign_folds(labels, 2, 1).tolist() == FOLDS_OF_SEED_1
    assert assign_folds(labels, 2, 2).tolist() != FOLDS_OF_SEED_1


FOLDS_OF_SEED_1 = [1, 1, 0, 1, 0, 0, 1, 0, 0, 1]


@pytest.mark.parametrize(
    'names, shown',
    [(['cat', 'dog'], "the class 'dog' has 1"), ([], 'the class with label 1 has 1')],
)
def test_a_class_with_fewer_images_than_folds_is_named(names, shown):
    with pytest.raises(ValueError, match=f'calibration_folds=2 needs 2 .* {shown}: set num_shots'):
        assign_folds([0, 0, 1, 0], 2, seed=1, class_names=names)
