"""Transforms equal the original image loader and the loader of image and mask, pixel by pixel."""

import json

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.config import Config

from fvgpt.datasets import PairedRandomResizedCrop
from fvgpt.registry import MODELS, TRANSFORMS
from fvgpt.tuners.classifier import clip_preprocessor

from ..conftest import ROOT

FILES = ['astronaut.png', 'chelsea.jpg', 'coffee.png']
PIPELINES = Config.fromfile(ROOT / 'configs' / '_base_' / 'pipelines' / 'clip_224.py')
AREAS = dict(rrc_flip=(0.08, 1.0), rrc_half_flip=(0.5, 1.0))


@pytest.fixture(scope='module')
def golden(parity):
    folder = parity / 'transforms'
    with np.load(folder / 'outputs.npz') as file:
        arrays = dict(file)
    return arrays, json.loads((folder / 'info.json').read_text())['items'], folder / 'root'


def run(pipeline, root, file):
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope('mmpretrain'):
        transforms = Compose([TRANSFORMS.build(step) for step in pipeline])
    return transforms(
        dict(img_path=str(root / 'photos' / file), mask_path=str(root / 'mask' / 'photos' / file))
    )


def rgb(results):
    """(3, H, W) uint8 RGB of a packed BGR image."""
    return results['inputs'].flip(0).numpy()


@pytest.mark.parametrize('file', FILES)
def test_test_transform_and_normalisation(golden, file):
    arrays, _, root = golden
    packed = run(PIPELINES.test_pipeline, root, file)
    assert np.array_equal(rgb(packed), arrays[f'test.{file}.image_u8'])
    normalised = MODELS.build(clip_preprocessor())(dict(inputs=[packed['inputs']]))['inputs'][0]
    torch.testing.assert_close(
        normalised[:, :8, :8],
        torch.from_numpy(arrays[f'test.{file}.corner_normalized']),
        atol=2e-6,
        rtol=0,
    )


def test_paired_random_crop_and_flip(golden):
    arrays, items, root = golden
    checked = 0
    for key, info in items.items():
        parts = key.split('.', 3)
        if parts[0] != 'train_paired' or parts[1] not in AREAS:
            continue
        _, pipeline, seed, file = parts
        torch.manual_seed(
            int(seed.removeprefix('seed'))
        )  # the original draws the crop from torch's generator
        steps = [dict(step) for step in PIPELINES.foreground_pipeline]
        for step in steps:
            if step['type'] == PairedRandomResizedCrop.__name__:
                step['area'] = AREAS[pipeline]
            if step['type'] == 'RandomFlip':
                step['prob'] = float(
                    info['flipped']
                )  # the original draws the flip from python's generator
        packed = run(steps, root, file)
        assert np.array_equal(rgb(packed), arrays[f'{key}.image_u8']), key
        mask = packed['data_samples'].mask.numpy()
        assert np.array_equal(mask, arrays[f'{key}.mask'][0]), key
        assert mask.mean() == pytest.approx(info['area'], abs=1e-6)
        checked += 1
    assert checked >= 6


@pytest.mark.parametrize('file', FILES)
def test_squash(golden, file):
    arrays, _, root = golden
    keys = [
        key
        for key in arrays
        if key.startswith('train_paired.squash.') and key.endswith(f'{file}.image_u8')
    ]
    packed = run(PIPELINES.squash_pipeline, root, file)
    assert keys
    for key in keys:
        assert np.array_equal(rgb(packed), arrays[key])
