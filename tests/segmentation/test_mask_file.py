"""Image and mask files, and the numbers about masks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mmcv.transforms import LoadImageFromFile
from PIL import Image

from fvgpt.datasets import LoadForegroundMask
from fvgpt.datasets.class_folder import IMAGE_SUFFIXES
from fvgpt.segmentation.mask_file import (
    confidence,
    intersection_over_union,
    load_image,
    read_mask,
    write_mask,
)

masks = arrays(np.bool_, st.tuples(st.integers(1, 20), st.integers(1, 20)))


@pytest.mark.parametrize('suffix', [*IMAGE_SUFFIXES, '.JPEG', '.PNG'])
@settings(max_examples=15, deadline=None)
@given(mask=masks)
def test_the_training_pipeline_reads_the_mask_that_was_written(tmp_path_factory, suffix, mask):
    path = tmp_path_factory.mktemp('masks') / ('mask' + suffix)
    write_mask(path, mask.astype(np.float32), {})
    results = LoadForegroundMask()(dict(img=np.zeros((*mask.shape, 3)), mask_path=str(path)))
    assert np.array_equal(results['gt_seg_map'], mask)
    assert np.array_equal(read_mask(path)[0] > 0.5, mask)


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_a_mask_file_contains_its_maker(tmp_path, suffix):
    note = dict(segmenter='grabcut side=64', confidence=0.5)
    write_mask(tmp_path / f'a{suffix}', np.ones((4, 4), np.float32), note)
    assert read_mask(tmp_path / f'a{suffix}')[1] == note
    Image.new('L', (4, 4)).save(tmp_path / 'b.jpg', comment='made by hand')
    assert read_mask(tmp_path / 'b.jpg')[1] == {}
    assert sorted(p.name for p in tmp_path.iterdir()) == [f'a{suffix}', 'b.jpg']


def test_images_are_read_in_the_frame_of_the_training_pipeline(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees
    pixels = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    Image.fromarray(pixels).save(tmp_path / 'a.png', exif=exif)
    loaded = load_image(tmp_path / 'a.png')
    reader = LoadImageFromFile(imdecode_backend='pillow', color_type='color_ignore_orientation')
    assert np.array_equal(loaded, pixels)
    assert np.array_equal(loaded, reader(dict(img_path=str(tmp_path / 'a.png')))['img'][..., ::-1])


@pytest.mark.parametrize('mode', ['L', 'LA', 'RGBA', 'P', '1', 'CMYK', 'I', 'F', 'I;16'])
def test_every_kind_of_picture_becomes_three_channels(tmp_path, mode):
    ramp = np.tile(np.linspace(0, 255, 16), (8, 1))
    if mode == 'I;16':
        picture = Image.fromarray((ramp * 257).astype(np.uint16))
    else:
        picture = Image.fromarray(ramp.astype(np.uint8)).convert(mode)
    path = tmp_path / ('a.png' if mode in ('L', 'LA', 'RGBA', 'P', '1', 'I;16') else 'a.tif')
    picture.save(path)
    loaded = load_image(path)
    assert loaded.shape == (8, 16, 3) and loaded.dtype == np.uint8
    assert loaded[:, -1].min() == 255 and loaded[:, 0].max() == 0  # 16 bits are scaled, not clipped


def test_a_file_that_is_not_an_image_is_named(tmp_path):
    (tmp_path / 'a.png').write_bytes(b'no image')
    for read in (load_image, read_mask):
        with pytest.raises(ValueError, match='a.png'):
            read(tmp_path / 'a.png')


def test_confidence_is_independence_of_the_threshold():
    mask = np.zeros((10, 10), np.float32)
    assert confidence(mask) == 0
    mask[:4] = 1
    assert confidence(mask) == 1
    mask[4:8] = 0.5
    assert confidence(mask) == 0.5


@settings(max_examples=40, deadline=None)
@given(masks, st.integers(0, 2**31))
def test_iou_is_symmetric_and_one_for_equal_masks_only(mask, seed):
    a = mask.astype(np.float32)
    b = (np.random.default_rng(seed).random(mask.shape) > 0.5).astype(np.float32)
    assert intersection_over_union(a, a) == 1
    assert intersection_over_union(a, b) == intersection_over_union(b, a)
    assert (intersection_over_union(a, b) == 1) == np.array_equal(a, b)


def test_a_reference_of_another_size_is_resized():
    small = np.zeros((6, 8), np.float32)
    small[2:4, 3:6] = 1
    assert intersection_over_union(small.repeat(3, 0).repeat(3, 1), small) == 1
