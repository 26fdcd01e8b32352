"""Masks of other images as a control, and their place in the feature cache's key."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fvgpt.datasets.mask_controls import exchange_masks
from fvgpt.datasets.other_images import area_matched, shuffled
from fvgpt.engine.cached_features import file_identities

from .test_views import IMAGES, few_shot_set, write_tree

labels = st.lists(st.integers(0, 4), min_size=2, max_size=40)


@settings(max_examples=200, deadline=None)
@given(labels, st.integers(0, 100))
def test_every_image_gets_one_other_image_of_another_class_if_there_are_enough(labels, seed):
    other = shuffled(labels, seed)
    assert sorted(other) == list(range(len(labels)))
    assert all(o != i for i, o in enumerate(other))
    if 2 * max(Counter(labels).values()) <= len(labels):
        assert all(labels[o] != labels[i] for i, o in enumerate(other))
    assert other == shuffled(labels, seed)


def test_another_seed_is_another_permutation():
    assert len({tuple(shuffled([0, 1, 2] * 5, seed)) for seed in range(5)}) == 5


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_masks_of_nearest_area_without_own_masks(areas):
    other = area_matched(areas)
    assert sorted(other) == list(range(len(areas)))
    rank = np.empty(len(areas), int)
    rank[np.argsort(areas, kind='stable')] = np.arange(len(areas))
    away = [abs(int(rank[o]) - int(rank[i])) for i, o in enumerate(other)]
    # neighbours in the order of areas; with an odd number, the last three in a circle
    assert min(away) == 1 and sum(a > 1 for a in away) == len(areas) % 2 and max(away) <= 2


def test_two_images_are_needed():
    data_list = [dict(gt_label=0, mask_path='a.png'), dict(gt_label=1, mask_path=None)]
    with pytest.raises(ValueError, match='needs masks of at least two images, but 1 of 2 have one'):
        exchange_masks(data_list, 'shuffled', 1, '/data')


@pytest.mark.parametrize('mask_of', ['shuffled', 'area_matched'])
def test_a_data_set_gives_other_images_masks_resized_to_the_image(tmp_path, mask_of):
    write_tree(tmp_path)
    steps = [dict(type='LoadImage'), dict(type='LoadForegroundMask')]
    make = dict(split='train', mask_root='mask', pipeline=steps)
    own = few_shot_set(tmp_path, **make)
    other = few_shot_set(tmp_path, mask_of=mask_of, seed=3, **make)
    paths = [[data.get_data_info(i)['mask_path'] for i in range(IMAGES)] for data in (own, other)]
    assert sorted(paths[0]) == sorted(paths[1])
    assert all(mine != given for mine, given in zip(*paths))
    assert own.metainfo == other.metainfo and file_identities(own) != file_identities(other)
    area = [own[i]['gt_seg_map'].mean() for i in range(IMAGES)]
    for i in range(IMAGES):
        item = other[i]
        assert item['gt_seg_map'].shape == item['img'].shape[:2]
        source = paths[0].index(paths[1][i])
        size = item['img'].shape[1::-1]
        expected = np.asarray(Image.open(paths[0][source]).convert('L').resize(size, 0)) > 127
        assert (item['gt_seg_map'] == expected).all()
        if mask_of == 'area_matched':
            between = sum(min(area[i], area[source]) < a < max(area[i], area[source]) for a in area)
            assert between <= 1  # none, but for one of the last three
    again = few_shot_set(tmp_path, mask_of=mask_of, seed=3, **make)
    assert paths[1] == [again.get_data_info(i)['mask_path'] for i in range(IMAGES)]


def test_an_unknown_choice_is_named(tmp_path):
    write_tree(tmp_path)
    with pytest.raises(ValueError, match='mask_of must be one of own, shuffled, area_matched'):
        few_shot_set(tmp_path, mask_of='others')
    with pytest.raises(ValueError, match='view must be one of full, foreground'):
        few_shot_set(tmp_path, view='back')
