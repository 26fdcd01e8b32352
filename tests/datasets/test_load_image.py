"""Image files of all colour modes, complete and broken."""

import io
import struct
import zlib

import mmcv
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmcv.transforms import CenterCrop
from mmpretrain.datasets.transforms import ResizeEdge
from PIL import Image

from fvgpt.datasets import LoadImage, read_image
from fvgpt.tuners.classifier import CLIPDataPreprocessor, clip_preprocessor


def picture(height=40, width=60):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 4, y * 6, (x + y) * 2], -1).astype(np.uint8)


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_ordinary_images_are_read_as_mmcv_reads_them(tmp_path, suffix):
    path = str(tmp_path / f'a{suffix}')
    Image.fromarray(picture()).save(path)
    results = LoadImage()(dict(img_path=path))
    assert np.array_equal(
        results['img'], mmcv.imread(path, backend='pillow', flag='color_ignore_orientation')
    )
    assert results['img_shape'] == results['ori_shape'] == (40, 60)


@pytest.mark.parametrize(
    'mode, suffix',
    [
        ('1', 'png'),
        ('L', 'png'),
        ('LA', 'png'),
        ('P', 'png'),
        ('RGBA', 'png'),
        ('CMYK', 'jpg'),
        ('L', 'jpg'),
        ('RGB', 'webp'),
        ('RGB', 'bmp'),
        ('P', 'gif'),
    ],
)
def test_every_colour_mode_becomes_rgb(tmp_path, mode, suffix):
    image = Image.fromarray(picture()).convert(mode)
    image.save(tmp_path / f'a.{suffix}')
    read = np.asarray(read_image(str(tmp_path / f'a.{suffix}')))
    assert read.shape == (40, 60, 3) and read.dtype == np.uint8
    assert np.abs(read.astype(int) - np.asarray(image.convert('RGB')).astype(int)).mean() < 4


def test_16_bit_values_are_scaled(tmp_path):
    Image.fromarray(np.tile(np.arange(60, dtype=np.uint16), (40, 1)) * 1000).save(
        tmp_path / 'a.png'
    )
    read = np.asarray(read_image(str(tmp_path / 'a.png')))
    assert np.array_equal(read[0, :, 0], np.arange(60) * 1000 >> 8)


def test_orientation_tags_are_ignored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture()).save(tmp_path / 'a.jpg', exif=exif)
    assert read_image(str(tmp_path / 'a.jpg')).size == (60, 40)


def bomb():
    """A small PNG file with a header that states 60,000 x 60,000 pixels."""

    def chunk(kind, data):
        return (
            struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        )

    header = struct.pack('>IIBBBBB', 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', header)
        + chunk(b'IDAT', zlib.compress(b''))
        + chunk(b'IEND', b'')
    )


def encoded(kind):
    buffer = io.BytesIO()
    Image.fromarray(picture()).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize(
    'content',
    [b'', b'hello', encoded('PNG')[:-40], encoded('JPEG')[:300], encoded('JPEG')[:10], bomb()],
    ids=['empty', 'text', 'cut png', 'cut jpeg', 'head of a jpeg', 'decompression bomb'],
)
def test_broken_files_are_named(tmp_path, content):
    (tmp_path / 'broken.jpg').write_bytes(content)
    with pytest.raises(ValueError, match=r'broken\.jpg cannot be read as an image'):
        LoadImage()(dict(img_path=str(tmp_path / 'broken.jpg')))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nothing\.jpg'):
        read_image(str(tmp_path / 'nothing.jpg'))


def test_only_large_jpegs_are_decoded_at_reduced_size(tmp_path):
    smooth = Image.fromarray(picture(40, 60)).resize((1200, 800), Image.BICUBIC)
    smooth.save(tmp_path / 'a.jpg', quality=95)
    smooth.save(tmp_path / 'a.png')
    assert read_image(str(tmp_path / 'a.jpg'), 100).size == (150, 100)
    assert read_image(str(tmp_path / 'a.jpg'), 401).size == (1200, 800)
    assert read_image(str(tmp_path / 'a.png'), 100).size == (1200, 800)
    whole = np.asarray(read_image(str(tmp_path / 'a.jpg')).resize((90, 60), Image.BICUBIC)).astype(
        int
    )
    reduced = np.asarray(
        read_image(str(tmp_path / 'a.jpg'), 180).resize((90, 60), Image.BICUBIC)
    ).astype(int)
    assert np.abs(whole - reduced).mean() < 1
    with pytest.raises(ValueError, match='reduce_to must be at least 1'):
        LoadImage(reduce_to=0)


def test_photographs_decoded_at_half_size_have_nearly_the_same_features(
    photographs, quickstart_clip
):
    """``reduce_to`` is the input size, its lowest useful value; the guide advises twice that."""
    side = quickstart_clip.image_size
    resize = [
        ResizeEdge(side, 'short', backend='pillow', interpolation='bicubic'),
        CenterCrop(side),
    ]

    def features(reduce_to):
        images = []
        for path in photographs[::110]:
            results = LoadImage(reduce_to)(dict(img_path=str(path)))
            for step in resize:
                results = step(results)
            images.append(torch.from_numpy(results['img'].transpose(2, 0, 1).copy()))
        pixels = CLIPDataPreprocessor(
            **{k: v for k, v in clip_preprocessor().items() if k != 'type'}
        )(dict(inputs=images))
        return F.normalize(quickstart_clip.encode_image(pixels['inputs']), dim=-1)

    whole, reduced = features(None), features(side)
    assert len(whole) == 20 and not torch.equal(whole, reduced)
    cosine = (whole * reduced).sum(-1)
    assert cosine.mean() > 0.99 and cosine.min() > 0.95
