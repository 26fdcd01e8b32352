"""The background of an image, its object filled in."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fvgpt.datasets.remove_object import leaves_background, remove_object


def picture(seed, height, width):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    mask = np.zeros((height, width), bool)
    top, left = rng.integers(0, height), rng.integers(0, width)
    mask[top : top + rng.integers(1, height + 1), left : left + rng.integers(1, width + 1)] = True
    return image, mask


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 41), st.integers(1, 41), st.integers(0, 255))
def test_nothing_of_the_object_is_left_and_nothing_else_changes(seed, height, width, colour):
    image, mask = picture(seed, height, width)
    background = remove_object(image, mask)
    near = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert leaves_background(mask) == (background is not None)
    if background is None:
        assert mask.mean() >= 0.95 or near.mean() > 0.3  # little or nothing to fill in from
        return
    assert background.shape == image.shape and background.dtype == np.uint8
    assert (background[~near] == image[~near]).all()
    other = image.copy()
    other[near] = colour
    assert (remove_object(other, mask) == background).all()
    assert image is not background and not np.shares_memory(image, background)


def test_a_plain_background_is_filled_with_its_colour():
    image = np.full((40, 60, 3), (10, 200, 90), np.uint8)
    mask = np.zeros((40, 60), bool)
    mask[10:25, 20:40] = True
    image[mask] = 255
    assert np.abs(remove_object(image, mask).astype(int) - (10, 200, 90)).max() <= 4


def test_an_empty_mask_changes_nothing():
    image, _ = picture(0, 21, 30)
    assert (remove_object(image, np.zeros((21, 30), bool)) == image).all()


@pytest.mark.parametrize('rows, none', [(18, False), (19, True), (20, True)])
def test_an_object_of_95_percent_of_the_image_leaves_no_background(rows, none):
    image = np.zeros((200, 20, 3), np.uint8)
    mask = np.zeros((200, 20), bool)
    mask[: rows * 10] = True
    assert (remove_object(image, mask) is None) == none


def test_sizes_must_agree():
    with pytest.raises(ValueError, match='pixels large'):
        remove_object(np.zeros((4, 6, 3), np.uint8), np.zeros((6, 4), bool))
