"""PasteForeground: x' = m x + (1 - m) B_k, in every kind of data set, and the same for a seed."""

import json

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmengine.dataset import ConcatDataset
from PIL import Image
from torch.utils.data import DataLoader

from fvgpt.datasets import PasteForeground, remove_object
from fvgpt.engine.cached_features import SeededView
from fvgpt.registry import DATASETS

SIDE, CLASSES, PER_CLASS = 24, 3, 2
LOAD = [dict(type='LoadImage'), dict(type='LoadForegroundMask')]
PACK = dict(type='PackForegroundInputs')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Images of noise around a mean of their own, with masks at places of their own."""
    root = tmp_path_factory.mktemp('images')
    rng = np.random.default_rng(0)
    items = []
    for label in range(CLASSES):
        for number in range(PER_CLASS):
            name = f'class{label}/{number}.png'
            for kind in ('images', 'masks'):
                (root / kind / f'class{label}').mkdir(parents=True, exist_ok=True)
            image = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
            mask = np.zeros((SIDE, SIDE), np.uint8)
            top, left = rng.integers(0, 12, 2)
            mask[top : top + 8, left : left + 8] = 255
            Image.fromarray(image).save(root / 'images' / name)
            Image.fromarray(mask).save(root / 'masks' / name)
            items.append(
                dict(
                    img_path=str(root / 'images' / name),
                    mask_path=str(root / 'masks' / name),
                    gt_label=label,
                )
            )
    (root / 'items.json').write_text(
        json.dumps(dict(metainfo=dict(classes=['a', 'b', 'c']), data_list=items))
    )
    return root


def data_set(folder, *steps, kind='wrapper'):
    """The images as a data set of one of several kinds."""
    pipeline = [*LOAD, *steps]
    if kind == 'concat':
        return ConcatDataset([data_set(folder, *steps), data_set(folder, *steps)])
    if kind == 'plain':
        return DATASETS.build(dict(type='OtherImagesDataset', dataset=listed(folder, pipeline)))
    wrapper = dict(
        type='FewShotWrapper',
        dataset=dict(type='mmpretrain.CustomDataset'),
        data_root=str(folder / 'images'),
        mask_root='../masks',
        pipeline=pipeline,
    )
    return DATASETS.build(wrapper)


def listed(folder, pipeline):
    """Config of a data set of mmpretrain, whose annotation file names the masks."""
    return dict(
        type='mmpretrain.BaseDataset', ann_file=str(folder / 'items.json'), pipeline=pipeline
    )


def originals(folder):
    """BGR images, masks and labels, as the transforms read them."""
    items = json.loads((folder / 'items.json').read_text())['data_list']
    return [
        (
            np.array(Image.open(item['img_path']))[..., ::-1],
            np.array(Image.open(item['mask_path'])) > 0,
            item['gt_label'],
        )
        for item in items
    ]


@pytest.mark.parametrize('kind', ['wrapper', 'concat', 'plain'])
@pytest.mark.parametrize('output', ['img', 'exchanged'])
def test_the_object_is_on_the_background_of_an_image_of_another_class(folder, kind, output):
    dataset = data_set(folder, dict(type='PasteForeground', output=output), kind=kind)
    known = originals(folder)
    np.random.seed(0)
    for index in range(len(dataset)):
        results = dataset[index]
        image, mask, label = known[index % len(known)]
        pasted = results[output]
        candidates = []
        for other, other_mask, other_label in known:
            background, expected = remove_object(other, other_mask), image.copy()
            for y in range(SIDE):
                for x in range(SIDE):
                    if not mask[y, x]:
                        expected[y, x] = background[y, x]
            if np.array_equal(pasted, expected):
                candidates.append(other_label)
        assert len(candidates) == 1 and candidates[0] != label
        assert np.array_equal(results['gt_seg_map'] > 0, mask)
        if output == 'exchanged':
            assert np.array_equal(results['img'], image)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**31))
def test_the_background_is_an_augmented_view(folder, seed):
    """Its steps before PasteForeground apply to it too: cropped to the size of the view."""
    crop = dict(type='PairedRandomResizedCrop', scale=16)
    flip = dict(type='RandomFlip', prob=0.5, direction='horizontal')
    dataset = data_set(folder, crop, flip, dict(type='PasteForeground', output='exchanged'))
    results = SeededView(dataset, seed, 0)[0]
    mask = results['gt_seg_map'] > 0
    assert results['exchanged'].shape == results['img'].shape == (16, 16, 3)
    assert np.array_equal(results['exchanged'][mask], results['img'][mask])
    assert np.array_equal(results['exchanged'], SeededView(dataset, seed, 0)[0]['exchanged'])


def test_workers_and_views_are_seeded(folder):
    crop = dict(type='PairedRandomResizedCrop', scale=16)
    dataset = data_set(folder, crop, dict(type='PasteForeground', output='exchanged'), PACK)

    def views(view, workers):
        loader = DataLoader(
            SeededView(dataset, 1, view), 2, num_workers=workers, collate_fn=lambda batch: batch
        )
        return [item['data_samples'].exchanged for batch in loader for item in batch]

    first = views(0, 0)
    assert all(view.shape == (3, 16, 16) and view.dtype == torch.uint8 for view in first)
    assert all(torch.equal(one, other) for one, other in zip(first, views(0, 2)))
    assert not all(torch.equal(one, other) for one, other in zip(first, views(1, 0)))


def test_the_probability_is_that_of_an_exchange(folder):
    for prob in (0.0, 0.5, 1.0):
        dataset = data_set(folder, dict(type='PasteForeground', prob=prob, output='exchanged'))
        np.random.seed(0)
        changed = [
            not np.array_equal(results['exchanged'], results['img'])
            for _ in range(10)
            for results in (dataset[i] for i in range(len(dataset)))
        ]
        assert np.mean(changed) == pytest.approx(prob, abs=0.2 if prob == 0.5 else 0)


class Masks:
    """A step that changes masks: for certain images all is foreground, or nothing."""

    def __init__(self, full=(), empty=()):
        self.full, self.empty = full, empty

    def __call__(self, results):
        if results['sample_idx'] in self.full:
            results['gt_seg_map'][:] = 1
        if results['sample_idx'] in self.empty:
            results['gt_seg_map'][:] = 0
        return results


def test_images_that_are_all_foreground_give_no_background(folder):
    known = originals(folder)
    dataset = data_set(folder, Masks(full=(2, 3, 4)), dict(type='PasteForeground'))
    background = remove_object(*known[5][:2])
    np.random.seed(0)
    for _ in range(5):  # of the other classes only image 5 has a background
        results = dataset[0]
        outside = results['gt_seg_map'] == 0
        assert np.array_equal(results['img'][outside], background[outside])
    dataset = data_set(folder, Masks(full=(2, 3, 4, 5)), dict(type='PasteForeground'))
    with pytest.raises(ValueError, match='no background'):
        dataset[0]


def test_without_an_object_the_image_stays(folder):
    dataset = data_set(folder, Masks(empty=(0,)), dict(type='PasteForeground'))
    assert np.array_equal(dataset[0]['img'], originals(folder)[0][0])


def test_wrong_use_names_the_remedy(folder):
    with pytest.raises(ValueError, match='OtherImagesDataset'):
        DATASETS.build(listed(folder, [*LOAD, dict(type='PasteForeground')]))[0]
    with pytest.raises(ValueError, match='LoadForegroundMask'):
        PasteForeground()(dict(img=np.zeros((4, 4, 3), np.uint8)))
    inside = dict(type='Compose', transforms=[dict(type='PasteForeground')])
    with pytest.raises(ValueError, match='OtherImagesDataset'):
        data_set(folder, inside)[0]
    for options in (dict(prob=2), dict(output='view')):
        with pytest.raises(ValueError, match=next(iter(options))):
            PasteForeground(**options)
