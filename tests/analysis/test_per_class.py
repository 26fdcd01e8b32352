"""Gains per class, and the images on which two classifiers differ."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fvgpt.analysis.per_class import changed, class_accuracies, evenly_spread


def test_classes_without_images_are_left_out_and_gains_are_of_the_last_source():
    labels = np.array([0, 0, 2, 2, 2, 2])
    clip, tuner, ours = (
        np.array(right, bool) for right in ([1] * 6, [1, 0, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0])
    )
    rows = class_accuracies(['ant', 'bee', 'cat'], labels, [clip, tuner, ours])
    assert [(row.name, row.images, row.accuracy, row.gain) for row in rows] == [
        ('ant', 2, (100, 50, 100), 50),
        ('cat', 4, (100, 25, 75), 50),
    ]


def test_fixed_and_broken():
    before, after = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    fixed, broken = changed(before, after)
    assert fixed.tolist() == [2] and broken.tolist() == [1]


@given(st.integers(0, 50), st.integers(1, 10))
def test_evenly_spread_takes_some_of_them_in_order(length, count):
    chosen = evenly_spread(np.arange(length), count)
    assert len(chosen) == min(length, count) and (np.diff(chosen) > 0).all()
    if length > count > 1:
        assert chosen[0] == 0 and chosen[-1] == length - 1
