"""Masks move with their images through a test pipeline."""

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

from fvgpt.analysis.masked_data import analysis_datasets, build_dataset, masked_pipeline

from ..conftest import ROOT

PIPELINE = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(type='ResizeEdge', scale=32, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=32),
    dict(type='PackInputs'),
]


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmpretrain')


@pytest.fixture
def folder(tmp_path):
    """Wide images with a white object left of the middle, which the crop cuts.

    One mask is missing, and one has another size.
    """
    pixels = np.zeros((64, 160, 3), np.uint8)
    pixels[16:48, 30:90] = 255
    for split, names in (('train', ['a', 'b']), ('test', ['a', 'b', 'c'])):
        for label in ('cat', 'dog'):
            for name in names:
                path = tmp_path / 'images' / split / label / f'{name}.png'
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
                mask = (
                    Image.fromarray(pixels).resize((320, 128), Image.NEAREST)
                    if name == 'b'
                    else Image.fromarray(pixels)
                )
                if name != 'c':
                    target = tmp_path / 'mask' / 'images' / split / label / f'{name}.png'
                    target.parent.mkdir(parents=True, exist_ok=True)
                    mask.save(target)
    return tmp_path


def recipe(folder, **test):
    kwargs = dict(
        type='ClassFolderDataset',
        data_root=str(folder),
        img_dir='images',
        folders=dict(train='train', test='test'),
    )
    return Config(
        dict(
            train_dataloader=dict(
                dataset=dict(kwargs, split='train', mask_root='mask', pipeline=PIPELINE[:1])
            ),
            test_dataloader=dict(dataset=dict(kwargs, split='test', pipeline=PIPELINE, **test)),
        )
    )


def test_the_mask_lies_on_the_object_after_resize_and_crop(folder):
    [config] = analysis_datasets(recipe(folder))
    dataset = build_dataset(config)
    seen = [dataset[i] for i in range(len(dataset))]
    assert [item['data_samples'].metainfo['mask_path'] is None for item in seen] == [
        False,
        False,
        True,
    ] * 2
    for item in seen[:2]:
        mask, bright = item['data_samples'].mask.numpy(), item['inputs'][0].numpy() > 127
        assert mask.shape == bright.shape == (32, 32)
        assert (mask == bright).mean() > 0.97 and 0.2 < mask.mean() < 0.6
    assert seen[2]['data_samples'].mask.all(), 'a missing mask is marked by its path'


def test_training_images_are_seen_without_augmentation(folder):
    [config] = analysis_datasets(recipe(folder), 'train')
    dataset = build_dataset(config)
    assert len(dataset) == 4 and dataset[0]['inputs'].shape == (3, 32, 32)
    assert all('train' in dataset[i]['data_samples'].metainfo['img_path'] for i in range(4))


def test_masks_can_be_left_out_or_lie_elsewhere(folder):
    [config] = analysis_datasets(recipe(folder, mask_root='mask'), masks=False)
    assert 'mask_root' not in config and 'mask' not in build_dataset(config)[0]['data_samples']
    (folder / 'mask').rename(folder / 'other')
    paths = [
        build_dataset(analysis_datasets(recipe(folder), mask_root=root)[0])[0][
            'data_samples'
        ].metainfo['mask_path']
        for root in ('other', None)
    ]
    assert paths[0].startswith(str(folder / 'other')) and paths[1] is None


def test_own_images_say_how_to_go_on_without_masks(folder):
    own = Config(
        dict(
            test_dataloader=dict(
                dataset=dict(
                    type='OwnImages',
                    data_root=str(folder / 'images'),
                    split='test',
                    pipeline=PIPELINE,
                )
            )
        )
    )
    [config] = analysis_datasets(own)
    assert (
        build_dataset(config)[0]['data_samples'].metainfo['mask_path'] is None
    )  # no folder of masks: all are missing
    (folder / 'images' / 'mask').mkdir()
    with pytest.raises(FileNotFoundError, match='has a foreground mask.*--no-masks'):
        build_dataset(config)


def test_other_missing_files_are_no_matter_of_masks(tmp_path):
    """Also if "mask" is in their path."""
    [config] = analysis_datasets(recipe(tmp_path / 'unmasked'))
    with pytest.raises(FileNotFoundError, match='unmasked.* does not exist') as raised:
        build_dataset(config)
    assert '--no-masks' not in str(raised.value)


@pytest.mark.parametrize(
    'name', ['coop_fvg_quickstart', 'coop_fvg_caltech101', 'mmrl_fvg_imagenet']
)
def test_pipelines_of_the_recipes(name):
    config = Config.fromfile(ROOT / 'configs' / 'fvgpt' / f'{name}.py')
    kinds = [step['type'] for step in masked_pipeline(config.test_dataloader.dataset.pipeline)]
    assert kinds.count('LoadForegroundMask') == 1 and kinds[-1] == 'PackForegroundInputs'
    loaded = kinds.index('LoadForegroundMask')
    assert loaded > 0 and 'CenterCrop' not in kinds[:loaded] and 'ResizeEdge' not in kinds[loaded:]


def test_a_recipe_without_data_is_refused():
    with pytest.raises(ValueError, match='no test data set'):
        analysis_datasets(Config(dict(model=dict())))
