"""Views of test images: object and background where they belong, and which images are left out."""

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.registry import init_default_scope
from PIL import Image

from fvgpt.datasets import OwnImages, SplitFileDataset, view_images
from fvgpt.datasets.deterministic import random_steps
from fvgpt.datasets.remove_object import remove_object
from fvgpt.datasets.views import MEAN_COLOUR, VIEWS, ShowView, paste, view_pipeline
from fvgpt.engine.cached_features import file_identities
from fvgpt.tuners.classifier import CLIP_MEAN

NAMES = ['ant', 'bee', 'cat']
IMAGES = 9  # per split
LOAD = dict(type='LoadImage')
RESIZE = dict(type='ResizeEdge', scale=24, edge='short', backend='pillow', interpolation='bicubic')
CROP = dict(type='CenterCrop', crop_size=24)
PIPELINE = [LOAD, RESIZE, CROP, dict(type='PackInputs')]


def write_tree(root):
    """Three classes of three images of noise with a rectangular object, in two splits."""
    rng, split = np.random.default_rng(0), dict(train=[], val=[], test=[])
    for part in ('train', 'test'):
        for number in range(IMAGES):
            label = number % 3
            path = f'{NAMES[label]}/{part}{number}.png'
            height, width = rng.integers(26, 60, 2)
            image = rng.integers(0, 256, (height, width, 3), np.uint8)
            mask = np.zeros((height, width), np.uint8)
            top, left = height // 2 - 6, width // 2 - 7
            mask[top : top + 8 + number, left : left + 12] = 255
            for folder, pixels in (('images', image), ('mask/images', mask)):
                (root / folder / path).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(root / folder / path)
            split[part].append([path, label, NAMES[label]])
    (root / 'split.json').write_text(json.dumps(split))


def few_shot_set(root, **settings):
    init_default_scope('mmpretrain')
    return SplitFileDataset(
        data_root=str(root),
        split_file='split.json',
        img_dir='images',
        serialize_data=False,
        **settings,
    )


@pytest.fixture
def root(tmp_path):
    write_tree(tmp_path)
    return tmp_path


def shown(root, view, pipeline=PIPELINE):
    """Images (N, H, W, 3) BGR of a test with a view, and its data set."""
    data = few_shot_set(root, split='test', view=view, pipeline=pipeline)
    return np.stack([item['inputs'].permute(1, 2, 0).numpy() for item in data]), data


def masks_of(data):
    show = data.pipeline.transforms[0]
    infos = [data.get_data_info(i) for i in range(len(data))]
    return np.stack([show.mask_of(i['img_path'], i['mask_path']) for i in infos])


def test_views_have_the_object_and_the_background_where_they_belong(root):
    full, data = shown(root, 'full')
    mask = masks_of(data)
    plain = few_shot_set(root, split='test', pipeline=PIPELINE)
    assert (full == np.stack([i['inputs'].permute(1, 2, 0).numpy() for i in plain])).all()
    assert (full.shape, mask.shape) == ((IMAGES, 24, 24, 3), (IMAGES, 24, 24))
    for view in ('foreground', 'foreground_black', 'exchanged', 'blurred'):
        assert (shown(root, view)[0][mask] == full[mask]).all()
    assert (shown(root, 'foreground')[0][~mask] == MEAN_COLOUR).all()
    assert (shown(root, 'foreground_black')[0][~mask] == 0).all()
    background, _ = shown(root, 'background')
    expected = np.stack([remove_object(i, m) for i, m in zip(full, mask)])
    assert (background == expected).all()
    blurred, _ = shown(root, 'blurred')
    assert blurred[~mask].std() < 0.7 * background[~mask].std()


def test_the_background_of_an_exchanged_image_is_of_another_class_without_its_object(root):
    full, data = shown(root, 'exchanged')
    mask, background = masks_of(data), shown(root, 'background')[0]
    infos = [data.get_data_info(i) for i in range(len(data))]
    position = {info['img_path']: i for i, info in enumerate(infos)}
    used = [position[info['background_img_path']] for info in infos]
    assert sorted(used) == list(range(IMAGES))
    original, _ = shown(root, 'full')
    for i, k in enumerate(used):
        assert infos[i]['gt_label'] != infos[k]['gt_label']
        assert (full[i] == paste(original[i], mask[i], background[k])).all()
    again = few_shot_set(root, split='test', view='exchanged', pipeline=PIPELINE, seed=7)
    assert [again.get_data_info(i) for i in range(IMAGES)] == infos  # the same for every seed
    assert data.metainfo['view'] == 'exchanged' and random_steps(data) == []
    assert file_identities(data) != file_identities(shown(root, 'full')[1])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(sorted(VIEWS)), st.integers(0, 255))
def test_background_views_do_not_depend_on_the_object_nor_object_views_on_the_background(
    seed, view, colour
):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (30, 33, 3), np.uint8)
    mask = np.zeros((30, 33), np.uint8)
    mask[8:20, rng.integers(2, 9) : 20] = 1
    near = cv2.dilate(mask, np.ones((9, 9), np.uint8)) > 0
    show = ShowView(view, [lambda results: dict(results)])

    def view_of(pixels):
        other = dict(img=image[::-1].copy(), gt_seg_map=mask)
        show.load = lambda results: dict(results) if 'img' in results else dict(other)
        paths = dict.fromkeys(('img_path', 'background_img_path', 'background_mask_path'), 'x.png')
        return show.transform(dict(paths, img=pixels, gt_seg_map=mask))['img']

    before = view_of(image.copy())
    if view == 'background':
        changed = np.where(near[..., None], np.uint8(colour), image)
        assert (view_of(changed) == before).all()
    elif view in ('foreground', 'foreground_black', 'exchanged'):
        changed = np.where(mask[..., None] > 0, image, np.uint8(colour))
        assert (view_of(changed) == before).all()
    elif view == 'blurred':  # no trace of the object beside it
        changed = np.where(near[..., None], np.uint8(colour), image)
        assert (view_of(changed)[mask == 0] == before[mask == 0]).all()


def test_images_without_a_usable_mask_are_left_out_of_all_views_and_counted(root, monkeypatch):
    said = []
    monkeypatch.setattr(view_images, 'print_log', lambda message, *_, **__: said.append(message))
    folder = root / 'mask' / 'images' / 'ant'
    (folder / 'test0.png').unlink()
    Image.new('L', (40, 40)).save(folder / 'test3.png')
    Image.new('L', (40, 40), 255).save(folder / 'test6.png')
    for view in ('full', 'background', 'exchanged'):
        said.clear()
        data = few_shot_set(root, split='test', view=view, pipeline=PIPELINE)
        assert len(data) == IMAGES - 3 and 0 not in data.get_gt_labels()
        (message,) = said
        assert 'leaves out 3 of 9 images: 1 have no foreground mask, and 2 one that' in message
    for path in (root / 'mask').rglob('test*.png'):
        path.unlink()
    with pytest.raises(ValueError, match='has no images: of 9 images, 9 have no'):
        few_shot_set(root, split='test', view='full', pipeline=PIPELINE)
    with pytest.raises(FileNotFoundError, match='masks does not exist: mask_root'):
        few_shot_set(root, split='test', view='full', pipeline=PIPELINE, mask_root='masks')


def test_an_object_outside_the_crop_is_not_usable(root):
    wide = np.zeros((30, 100), np.uint8)
    wide[:, :20] = 255
    Image.fromarray(wide).save(root / 'mask/images/bee/test1.png')
    Image.new('RGB', (100, 30)).save(root / 'images/bee/test1.png')
    data = few_shot_set(root, split='test', view='full', pipeline=PIPELINE)
    assert len(data) == IMAGES - 1
    uncropped = [LOAD, dict(type='PackInputs')]
    assert len(few_shot_set(root, split='test', view='full', pipeline=uncropped)) == IMAGES


def test_own_images_find_their_masks_for_a_view(root):
    (root / 'split.json').unlink()
    (root / 'mask' / 'images').rename(root / 'images' / 'mask')
    init_default_scope('mmpretrain')
    own = OwnImages(str(root / 'images'), split='test', view='background', pipeline=PIPELINE)
    assert len(own) > 0 and own.metainfo['view'] == 'background'
    assert all('mask_path' in own.get_data_info(i) for i in range(len(own)))
    plain = OwnImages(str(root / 'images'), split='test', pipeline=PIPELINE)
    assert 'mask_path' not in plain.get_data_info(0)
    (root / 'images' / 'mask').rename(root / 'elsewhere')
    with pytest.raises(ValueError, match=r'has no images.*generate_foreground'):
        OwnImages(str(root / 'images'), split='test', view='background', pipeline=PIPELINE)


def test_a_pipeline_that_gives_no_8_bit_images_is_refused(root):
    steps = [LOAD, dict(type='Normalize', mean=[0.0] * 3, std=[1.0] * 3), dict(type='PackInputs')]
    with pytest.raises(ValueError, match='needs images of 8 bits before they are packed'):
        few_shot_set(root, split='test', view='full', pipeline=steps)


def test_a_view_comes_after_the_geometric_steps():
    show, pack = view_pipeline(PIPELINE, 'blurred')
    kinds = [step['type'] for step in show['transforms']]
    assert kinds == ['LoadImage', 'ResizeEdge', 'LoadForegroundMask', 'CenterCrop']
    assert show['view'] == 'blurred' and pack == PIPELINE[-1]


def test_the_mean_colour_is_clips():
    assert tuple(round(255 * mean) for mean in reversed(CLIP_MEAN)) == MEAN_COLOUR
