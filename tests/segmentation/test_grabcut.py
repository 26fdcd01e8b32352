"""The segmenter that needs no weights."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fvgpt.quickstart.world import task_samples
from fvgpt.segmentation import build_segmenter
from fvgpt.segmentation.grabcut import GrabCutSegmenter, central_prior, drop_small_parts
from fvgpt.segmentation.mask_file import confidence, intersection_over_union


def test_an_object_on_a_plain_background_is_found(pictures):
    images, masks = pictures
    for found, mask in zip(GrabCutSegmenter().segment(images), masks):
        assert intersection_over_union(found, mask.astype(np.float32)) > 0.95
        assert confidence(found) > 0.8


def test_on_the_embedded_world_it_is_far_better_than_the_central_prior():
    samples = [
        (image, mask.astype(np.float32))
        for _, image, mask in task_samples('train', 1, 0.7, 'exact')
    ]
    found = GrabCutSegmenter().segment([image for image, _ in samples])
    prior = central_prior(64, 64, 0.35)
    ious = [intersection_over_union(f, mask) for f, (_, mask) in zip(found, samples)]
    prior_ious = [intersection_over_union(prior, mask) for _, mask in samples]
    assert np.mean(ious) > 0.65 and np.mean(prior_ious) < 0.3


@settings(max_examples=40, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24), st.just(3))))
def test_any_small_picture_has_a_mask_of_its_size_with_something_in_it(image):
    mask, again = GrabCutSegmenter().segment([image, image])
    assert mask.shape == image.shape[:2] and mask.dtype == np.float32
    assert mask.min() >= 0 and 0.5 < mask.max() <= 1
    assert np.array_equal(mask, again)


@pytest.mark.parametrize('level', [0, 128, 255])
def test_a_uniform_picture_gets_the_central_prior_with_confidence_zero(level):
    mask = GrabCutSegmenter().segment([np.full((40, 30, 3), level, np.uint8)])[0]
    assert mask[20, 15] > 0.5 and mask[0, 0] < 0.5 and 0.2 < (mask > 0.5).mean() < 0.6
    assert confidence(mask) == 0


def test_masks_do_not_depend_on_the_other_pictures(pictures):
    images, _ = pictures
    together = GrabCutSegmenter().segment(images)
    alone = [GrabCutSegmenter().segment([image])[0] for image in reversed(images)][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(together, alone))


def test_a_large_picture_is_segmented_at_reduced_size():
    small = np.zeros((60, 80, 3), np.uint8)
    small[20:40, 30:50] = 200
    large = small.repeat(40, 0).repeat(40, 1)
    mask = GrabCutSegmenter().segment([large])[0]
    wanted = (large[..., 0] > 0).astype(np.float32)
    assert mask.shape == (2400, 3200) and intersection_over_union(mask, wanted) > 0.9


def test_small_parts_are_dropped_and_comparable_ones_kept():
    mask = np.zeros((30, 30), np.float32)
    mask[2:12, 2:12], mask[20:28, 20:28], mask[25:27, 2:4] = 1, 0.8, 1
    cleaned = drop_small_parts(mask)
    assert not cleaned[25:27, 2:4].any() and np.array_equal(cleaned[:, 5:], mask[:, 5:])


@pytest.mark.parametrize(
    'options', [dict(side=4), dict(iterations=0), dict(model='u2net'), dict(sides=3)]
)
def test_invalid_options_are_refused(options):
    with pytest.raises(ValueError, match='grabcut'):
        build_segmenter('grabcut', options)
