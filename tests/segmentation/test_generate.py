"""Masks of a folder of images: layout, resuming, failures, report."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from fvgpt.segmentation import ForegroundSegmenter
from fvgpt.segmentation.generate import generate_masks
from fvgpt.segmentation.jobs import find_jobs
from fvgpt.segmentation.mask_file import load_image, read_mask, write_mask
from fvgpt.segmentation.mask_maker import MaskMaker

from .conftest import square_picture


class RedSegmenter(ForegroundSegmenter):
    """Red is foreground. Counts its calls, and fails if configured to."""

    def __init__(self, most: int = 99, device: str = 'cpu'):
        self.most, self.device, self.calls = most, device, []

    def segment(self, images):
        self.calls.append(len(images))
        if len(images) > self.most:
            raise RuntimeError('out of memory')
        masks = [(image[..., 0] > 150).astype(np.float32) * 0.9 for image in images]
        return [
            np.full_like(mask, np.nan) if image[0, 0].sum() == 0 else mask
            for mask, image in zip(masks, images)
        ]


def red(**options) -> MaskMaker:
    soft, overwrite = options.pop('soft', False), options.pop('overwrite', False)
    return MaskMaker(f'{RedSegmenter.__module__}.RedSegmenter', options, soft, overwrite)


@pytest.fixture
def images(tmp_path) -> Path:
    """Five pictures in two folders, names with dots and spaces among them."""
    folder = tmp_path / 'images'
    names = ('a/1.jpg', 'a/2.v2.JPEG', 'b c/1.png', 'b c/deep/x.bmp', 'top.webp')
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(square_picture(40, 40 + 4 * number)[0]).save(folder / name)
    (folder / 'notes.txt').write_text('no image')
    return folder


def files_of(folder: Path) -> list:
    return sorted(
        p.relative_to(folder).as_posix()
        for p in folder.rglob('*')
        if p.is_file() and p.parent.name != '_report'
    )


@pytest.mark.parametrize('suffix', [None, '.png'])
def test_masks_have_the_paths_of_their_images(images, tmp_path, suffix):
    summary = generate_masks(images, tmp_path / 'masks', red(), suffix)
    wanted = [name for name in files_of(images) if name != 'notes.txt']
    if suffix:
        wanted = ['a/1.png', 'a/2.v2.png', 'b c/1.png', 'b c/deep/x.png', 'top.png']
    assert files_of(tmp_path / 'masks') == wanted
    assert (summary['made'], summary['failed'], summary['coverage']) == (5, 0, 1.0)
    with Image.open(tmp_path / 'masks' / 'b c' / '1.png') as mask:
        levels = np.asarray(mask)
    assert set(np.unique(levels)) == {0, 255}
    assert np.array_equal(levels > 0, load_image(images / 'b c' / '1.png')[..., 0] > 150)


def test_soft_masks_keep_their_probabilities(images, tmp_path):
    generate_masks(images, tmp_path / 'masks', red(soft=True), '.png')
    mask, note = read_mask(tmp_path / 'masks' / 'top.png')
    assert (
        mask.max() == pytest.approx(0.9, abs=1 / 255)
        and note['confidence'] == 1
        and 'RedSegmenter' in note['segmenter']
    )


def test_masks_inside_the_image_folder_are_not_images_of_the_next_run(images):
    generate_masks(images, images / 'mask', red(), '.png')
    assert generate_masks(images, images / 'mask', red(), '.png')['kept'] == 5
    assert not (images / 'mask' / 'mask').exists()


def test_one_image_gets_one_mask(images, tmp_path):
    summary = generate_masks(images / 'a' / '1.jpg', tmp_path / 'masks', red(), '.png')
    assert files_of(tmp_path / 'masks') == ['1.png'] and summary['images'] == 1


def test_existing_masks_are_kept_and_broken_ones_made_again(images, tmp_path):
    masks = tmp_path / 'masks'
    generate_masks(images, masks, red(), '.png')
    (masks / 'top.png').write_bytes((masks / 'top.png').read_bytes()[:40])
    (masks / 'a' / '1.png').unlink()
    (masks / 'a' / '2.v2.png.partial').write_bytes(b'a killed run left this')
    mine = np.zeros((40, 44), np.float32)
    write_mask(masks / 'b c' / '1.png', mine, {})
    maker = red()
    summary = generate_masks(images, masks, maker, '.png')
    assert (summary['made'], summary['kept']) == (2, 3) and sum(maker.component.calls) == 2
    assert read_mask(masks / 'top.png')[0].shape == (40, 56)
    assert not read_mask(masks / 'b c' / '1.png')[0].any() and summary['makers']['unknown'] == 1
    again = generate_masks(images, masks, red(overwrite=True), '.png')
    assert again['made'] == 5 and read_mask(masks / 'b c' / '1.png')[0].any()


def test_images_that_fail_are_named_and_the_others_get_masks(images, tmp_path):
    (images / 'a' / '0.jpg').write_bytes(b'not a picture')
    Image.new('RGB', (9, 9)).save(images / 'a' / 'black.png')  # the segmenter returns NaN for it
    summary = generate_masks(images, tmp_path / 'masks', red(), '.png', batch_size=3)
    assert sorted(summary['failures']) == ['a/0.jpg', 'a/black.png']
    assert (
        'cannot be read' in summary['failures']['a/0.jpg']
        and 'not finite' in summary['failures']['a/black.png']
    )
    assert summary['made'] == 5 and summary['coverage'] == 5 / 7
    assert len(files_of(tmp_path / 'masks')) == 5


def test_a_batch_too_large_for_the_device_is_processed_one_by_one(images, tmp_path):
    maker = red(most=1)
    assert generate_masks(images, tmp_path / 'masks', maker, '.png', batch_size=5)['made'] == 5
    assert maker.component.calls == [5, 1, 1, 1, 1, 1]


def test_on_a_gpu_threads_share_one_segmenter_with_batches_of_eight(tmp_path):
    for number in range(20):
        Image.fromarray(square_picture()[0]).save(tmp_path / f'{number}.png')
    maker = red(device='cuda')
    assert generate_masks(tmp_path, tmp_path / 'mask', maker, workers=4)['made'] == 20
    assert sorted(maker.component.calls) == [4, 8, 8]


def test_masks_are_compared_with_others_at_the_same_place(images, tmp_path):
    generate_masks(images, tmp_path / 'masks', red())
    write_mask(
        tmp_path / 'others' / 'a' / '1.png', read_mask(tmp_path / 'masks' / 'a' / '1.jpg')[0], {}
    )
    write_mask(tmp_path / 'others' / 'top.webp', np.zeros((7, 7), np.float32), {})
    summary = generate_masks(images, tmp_path / 'masks', red(), compare=tmp_path / 'others')
    assert summary['iou'] == dict(images=2, mean=0.5, median=0.5, above_half=0.5)
    assert summary['worst'][0]['image'] == 'top.webp'
    with open(tmp_path / 'masks' / '_report' / 'images.csv') as file:
        ious = {row['name']: row['iou'] for row in csv.DictReader(file)}
    assert ious == {
        'a/1.jpg': '1.0',
        'top.webp': '0.0',
        'a/2.v2.JPEG': '',
        'b c/1.png': '',
        'b c/deep/x.bmp': '',
    }


def test_the_report_shows_areas_and_the_worst(images, tmp_path):
    Image.fromarray(np.full((30, 30, 3), 40, np.uint8)).save(images / 'nothing.png')
    summary = generate_masks(images, tmp_path / 'masks', red())
    folder = tmp_path / 'masks' / '_report'
    assert json.loads((folder / 'report.json').read_text()) == summary
    assert (
        sum(summary['area_histogram']) == 6 and summary['area_histogram'][2] == 5
    )  # a quarter of each picture is red
    assert (summary['too_small'], summary['nothing_found']) == (1, 1) and summary['worst'][0][
        'image'
    ] == 'nothing.png'
    text = (folder / 'report.md').read_text()
    assert (
        '6 images: 6 masks made' in text
        and '| 0.2 to 0.3 | 5 |' in text
        and '| nothing.png | 0.000 | 0.000 |  |' in text
    )
    sheet = load_image(folder / 'contact_sheet.png')
    assert sheet.std() > 10
    assert sorted(p.name for p in folder.iterdir()) == [
        '.lock',
        'contact_sheet.png',
        'images.csv',
        'report.json',
        'report.md',
    ]


def test_invalid_folders_are_refused_before_anything_is_written(images, tmp_path):
    def refused(message, *arguments, error=ValueError):
        with pytest.raises(error, match=message):
            find_jobs(*arguments)

    (tmp_path / 'empty').mkdir()
    refused('no file or folder', tmp_path / 'nowhere', tmp_path, error=FileNotFoundError)
    refused('has no images', tmp_path / 'empty', tmp_path)
    refused('would overwrite images', images, images)
    refused('would overwrite images', images / 'a' / '1.jpg', images / 'a')
    refused('--suffix must be one of', images, tmp_path / 'masks', '.gif')
    refused(
        'is not a folder',
        images,
        tmp_path / 'masks',
        None,
        tmp_path / 'nowhere',
        error=FileNotFoundError,
    )
    refused(
        'has no mask of these images',
        images,
        tmp_path / 'masks',
        None,
        tmp_path / 'empty',
        error=FileNotFoundError,
    )
    Image.new('RGB', (4, 4)).save(images / 'a' / '1.png')
    refused('would share the mask', images, tmp_path / 'masks', '.png')
    assert not (tmp_path / 'masks').exists()


def test_two_runs_do_not_write_to_one_folder(images, tmp_path):
    masks = tmp_path / 'masks'
    (masks / '_report').mkdir(parents=True)
    with (
        FileLock(masks / '_report' / '.lock'),
        pytest.raises(ValueError, match='another run is writing'),
    ):
        generate_masks(images, masks, red())


@pytest.mark.parametrize('name', ['grabcutt', 'fvgpt.nowhere.Segmenter', 'pathlib.Path'])
def test_an_unknown_segmenter_is_refused(name):
    with pytest.raises(ValueError, match='choose grabcut, mmdet, mmseg, rembg, transformers'):
        MaskMaker(name)
