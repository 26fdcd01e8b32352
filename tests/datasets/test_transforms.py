"""Image and mask are transformed together, and masks of all kinds are read."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fvgpt.datasets import LoadForegroundMask, PackForegroundInputs, PairedRandomResizedCrop


def load(path, image_size=(40, 60), **kwargs):
    results = dict(img=np.zeros((*image_size, 3), np.uint8), mask_path=path and str(path))
    return LoadForegroundMask(**kwargs)(results)['gt_seg_map']


def disc(height, width):
    y, x = np.mgrid[:height, :width]
    return np.hypot(y - height / 2, x - width / 2) < height / 3


@pytest.mark.parametrize('mode', ['1', 'L', 'RGB', 'RGBA', 'P'])
def test_colour_modes(tmp_path, mode):
    expected = disc(40, 60)
    Image.fromarray(expected.astype(np.uint8) * 255).convert(mode).save(tmp_path / 'm.png')
    assert np.array_equal(load(tmp_path / 'm.png'), expected)


def test_jpeg_noise_is_removed(tmp_path):
    expected = disc(40, 60)
    Image.fromarray(expected.astype(np.uint8) * 255).save(tmp_path / 'm.jpg', quality=60)
    assert (load(tmp_path / 'm.jpg') != expected).mean() < 0.01


def test_another_size_is_resized_with_nearest(tmp_path):
    Image.fromarray(disc(80, 120).astype(np.uint8) * 255).save(tmp_path / 'm.png')
    mask = load(tmp_path / 'm.png')
    assert mask.shape == (40, 60) and set(np.unique(mask)) == {0, 1}
    assert (mask != disc(40, 60)).mean() < 0.03


def test_soft_masks_are_cut_at_the_threshold(tmp_path):
    Image.fromarray(np.tile(np.arange(60, dtype=np.uint8) * 4, (40, 1))).save(tmp_path / 'm.png')
    assert load(tmp_path / 'm.png').mean() == pytest.approx(28 / 60)
    assert load(tmp_path / 'm.png', threshold=0.2).mean() == pytest.approx(47 / 60)


def test_masks_of_16_bits(tmp_path):
    expected = disc(40, 60)
    for low, high in ((0, 65535), (25000, 40000)):
        Image.fromarray(np.where(expected, high, low).astype(np.uint16)).save(tmp_path / 'm.png')
        assert np.array_equal(load(tmp_path / 'm.png'), expected)


def test_missing_is_all_foreground_and_broken_is_named(tmp_path):
    assert load(None).all()
    (tmp_path / 'm.png').write_bytes(b'')
    with pytest.raises(ValueError, match=r'm\.png cannot be read'):
        load(tmp_path / 'm.png')


@settings(max_examples=30, deadline=None)
@given(st.integers(8, 90), st.integers(8, 90), st.integers(0, 1000))
def test_image_and_mask_get_the_same_crop(height, width, seed):
    mask = disc(height, width).astype(np.uint8)
    image = np.repeat(mask[..., None] * 255, 3, 2)
    torch.manual_seed(seed)
    out = PairedRandomResizedCrop(32)(dict(img=image, gt_seg_map=mask))
    assert out['img'].shape == (32, 32, 3) and out['gt_seg_map'].shape == out['img_shape'] == (
        32,
        32,
    )
    assert set(np.unique(out['gt_seg_map'])) <= {0, 1}
    # away from the border of the object the picture of the mask is the mask
    assert (abs(out['img'][..., 0] / 255.0 - out['gt_seg_map']) > 0.6).mean() < 0.1


def test_crop_without_a_mask_and_packing():
    out = PairedRandomResizedCrop((16, 24))(dict(img=np.zeros((30, 40, 3), np.uint8)))
    packed = PackForegroundInputs(meta_keys=())(out)
    assert packed['inputs'].shape == (3, 16, 24) and 'mask' not in packed['data_samples']
