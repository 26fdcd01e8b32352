"""Features on disk: found again, checked, bounded; training on them equals training on images."""

import json
import multiprocessing
import os
import random
import signal
import time

import numpy as np
import pytest
import torch
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from mmcv.transforms import BaseTransform, Resize
from mmpretrain.datasets.transforms import Albumentations
from torch.utils.data import DataLoader

from fvgpt.datasets.deterministic import random_steps
from fvgpt.engine.feature_cache import FeatureCache
from fvgpt.engine.hooks.feature_cache import CachedFeatures, SeededView
from fvgpt.engine.runner.recipe import run_recipe
from fvgpt.io.log_once import log_once
from fvgpt.registry import DATASETS

from ...conftest import ROOT


def arrays(value=1.0, rows=4):
    return dict(clip=np.full((1, rows, 3), value, np.float32), area=np.zeros((1, rows), np.float32))


def refuse():
    raise AssertionError('made again')


def test_an_entry_is_made_once_and_mapped(tmp_path):
    cache = FeatureCache(tmp_path / 'cache')
    first = cache.get(dict(a=1), arrays)
    again = FeatureCache(tmp_path / 'cache').get(dict(a=1), refuse)
    assert np.array_equal(first['clip'], again['clip']) and isinstance(again['clip'], np.memmap)
    assert not again['clip'].flags.writeable
    other = cache.get(dict(a=2), lambda: arrays(2.0))
    assert other['clip'][0, 0, 0] == 2


@pytest.mark.parametrize('damage', ['cut', 'bit', 'missing', 'head', 'no head', 'pickle'])
def test_broken_entries_are_computed_again(tmp_path, damage):
    cache = FeatureCache(tmp_path)
    cache.get(dict(a=1), arrays)
    (entry,) = (p for p in tmp_path.iterdir() if p.is_dir())
    file, head = entry / 'clip.npy', entry / 'contents.json'
    if damage == 'cut':
        file.write_bytes(file.read_bytes()[:-8])
    elif damage == 'bit':
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(bytes(content))
    elif damage == 'missing':
        file.unlink()
    elif damage == 'head':
        head.write_text('{"files": [')
    elif damage == 'no head':
        head.unlink()
    else:
        np.save(file, np.array([object()]), allow_pickle=True)
    assert cache.get(dict(a=1), lambda: arrays(5.0))['clip'][0, 0, 0] == 5
    assert cache.get(dict(a=1), refuse)['clip'][0, 0, 0] == 5


def test_a_failure_while_making_leaves_nothing_behind(tmp_path):
    cache = FeatureCache(tmp_path)
    with pytest.raises(AssertionError, match='made again'):
        cache.get(dict(a=1), refuse)
    assert not [p for p in tmp_path.iterdir() if p.is_dir()]
    assert cache.get(dict(a=1), arrays)['clip'].shape == (1, 4, 3)


def test_partial_entries_of_killed_processes_are_removed(tmp_path):
    cache = FeatureCache(tmp_path)
    (tmp_path / 'abc.partial-x').mkdir()
    (tmp_path / 'abc.partial-x' / 'clip.npy').write_bytes(b'half')
    cache.get(dict(a=1), arrays)
    assert not (tmp_path / 'abc.partial-x').exists()


def _killed_while_writing(folder):
    def save(path, array, **kwargs):
        path.write_bytes(b'half')
        os.kill(os.getpid(), signal.SIGKILL)

    np.save = save
    FeatureCache(folder).get(dict(a=1), arrays)


def test_an_entry_of_a_process_killed_while_writing_is_not_used(tmp_path):
    process = multiprocessing.get_context('fork').Process(
        target=_killed_while_writing, args=(tmp_path,)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (partial,) = (p for p in tmp_path.iterdir() if p.is_dir())
    assert (partial / 'clip.npy').read_bytes() == b'half'
    assert FeatureCache(tmp_path).get(dict(a=1), lambda: arrays(3.0))['clip'][0, 0, 0] == 3
    assert not partial.exists()


def test_a_locked_entry_is_not_removed(tmp_path):
    cache = FeatureCache(tmp_path, max_gb=1e-9)
    cache.get(dict(a=1), arrays)
    (first,) = (p for p in tmp_path.iterdir() if p.is_dir())
    with FileLock(f'{first}.lock'):
        cache.get(dict(a=2), arrays)
        assert first.exists()
    mapped = cache.get(dict(a=2), refuse)['clip']
    assert not first.exists()
    cache.get(dict(a=3), arrays)
    assert len([p for p in tmp_path.iterdir() if p.is_dir()]) == 1
    assert mapped[0, 0, 0] == 1  # processes that have it open can still read it


def test_the_least_recently_used_entries_are_removed_first(tmp_path):
    cache = FeatureCache(tmp_path, max_gb=100e-6)
    for i in range(4):
        cache.get(dict(a=i), lambda: arrays(rows=2500))  # 40 kB each
        for entry in tmp_path.glob('*/contents.json'):
            os.utime(
                entry, (time.time() - 100 + i,) * 2
            ) if entry.stat().st_mtime > time.time() - 50 else None
    assert len([p for p in tmp_path.iterdir() if p.is_dir()]) == 2
    cache.get(dict(a=3), refuse)
    cache.get(dict(a=2), refuse)
    made = []
    cache.get(dict(a=0), lambda: made.append(1) or arrays())
    assert made


def _get(folder, log):
    def make():
        with open(log, 'a') as file:
            file.write('made\n')
        time.sleep(0.3)
        return arrays(7.0)

    assert FeatureCache(folder).get(dict(a=1), make)['clip'][0, 0, 0] == 7


def test_one_of_several_processes_computes_an_entry(tmp_path):
    context = multiprocessing.get_context('fork')
    processes = [
        context.Process(target=_get, args=(tmp_path / 'cache', tmp_path / 'log')) for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert (tmp_path / 'log').read_text() == 'made\n'


@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 9))
def test_batches_hold_the_features_and_labels_of_their_images(seed, views, count):
    table = np.arange(views * count * 2, dtype=np.float32).reshape(views, count, 2)
    data = CachedFeatures(None, {'full.clip': table}, list(range(count)), seed)
    for epoch in (0, 1):
        data.set_epoch(epoch)
        indices = np.random.default_rng(seed).integers(count, size=4).tolist()
        batch = data.__getitems__(indices)
        assert [int(sample.gt_label) for sample in batch['data_samples']] == indices
        rows = batch['inputs'].full.clip.numpy()
        assert np.array_equal(rows, table[data.view[indices], indices])
    assert data.view.max() < views


class Draws:
    """Items are random numbers of all generators."""

    def __len__(self):
        return 7

    def __getitem__(self, index):
        return index, random.random(), float(np.random.rand()), float(torch.rand(()))


def test_views_are_drawn_alike_by_any_number_of_workers():
    def drawn(seed, view, workers):
        state = torch.get_rng_state()
        items = list(
            DataLoader(SeededView(Draws(), seed, view), 2, num_workers=workers, collate_fn=list)
        )
        torch.set_rng_state(state)
        return [item for batch in items for item in batch]

    first = drawn(1, 0, 0)
    assert first == drawn(1, 0, 2) == drawn(1, 0, 3)
    assert [item[0] for item in first] == list(range(7))
    numbers = [
        number for key in ((1, 0), (1, 1), (2, 0)) for item in drawn(*key, 0) for number in item[1:]
    ]
    assert len(set(numbers)) == len(numbers)


# ------------------------------------------------------------------ in training
@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    return tmp_path_factory.mktemp('data')


def run(tmp_path, data_root, name, recipe='coop_fvg_quickstart', **options):
    few = {'test_dataloader.dataset.test_per_class': 3}
    settings = {
        'data_root': str(data_root),
        'train_cfg.max_epochs': 2,
        'num_shots': 2,
        'train_dataloader.dataset.test_per_class': 3,
        'seed': 1,
        **few,
        **options,
    }
    results = run_recipe(
        str(ROOT / 'configs' / 'fvgpt' / f'{recipe}.py'), str(tmp_path / name), settings
    )
    return results, torch.load(tmp_path / name / 'epoch_2.pth', weights_only=True)['state_dict']


def test_training_and_testing_on_features_is_training_and_testing_on_images(tmp_path, data_root):
    """Both stages, with a deterministic pipeline; the second run reads the first one's features."""
    plain_pipeline = [
        dict(
            type='LoadImageFromFile',
            imdecode_backend='pillow',
            color_type='color_ignore_orientation',
        ),
        dict(type='LoadForegroundMask'),
        dict(type='PackForegroundInputs'),
    ]
    stage2 = {
        'train_dataloader.dataset.pipeline': plain_pipeline,
        'model.backbone_checkpoint': str(tmp_path / 'tuner.pth'),
    }
    kept = {'feature_cache.cache_dir': str(tmp_path / 'cache')}
    images = run(tmp_path, data_root, 'tuner_images', 'coop_quickstart')
    (tmp_path / 'tuner_images' / 'epoch_2.pth').rename(tmp_path / 'tuner.pth')
    for name, recipe, options, reference in (
        ('tuner', 'coop_quickstart', {}, images),
        ('fvg', 'coop_fvg_quickstart', stage2, None),
    ):
        reference = reference or run(tmp_path, data_root, f'{name}_images', recipe, **options)
        made = run(tmp_path, data_root, f'{name}_made', recipe, **options, **kept)
        found = run(tmp_path, data_root, f'{name}_found', recipe, **options, **kept)
        assert reference[0] == made[0] == found[0]
        for key, value in reference[1].items():
            torch.testing.assert_close(
                made[1][key], value, atol=1e-5, rtol=1e-4, msg=f'{name} {key}'
            )
            assert torch.equal(found[1][key], made[1][key])
    entries = [
        json.loads(p.read_text())['identity'] for p in (tmp_path / 'cache').glob('*/contents.json')
    ]
    assert len(entries) == 6  # training, base and new classes, of either stage


def test_random_crops_are_cached_only_with_a_number_of_views(tmp_path, data_root, caplog):
    kept = {'feature_cache.cache_dir': str(tmp_path / 'cache')}
    run(tmp_path, data_root, 'none', **kept)
    kept['feature_cache.views'] = 3
    _, first = run(tmp_path, data_root, 'first', **kept)
    _, second = run(tmp_path, data_root, 'second', **kept)
    assert all(torch.equal(first[key], second[key]) for key in first)
    shapes = {
        np.load(p, mmap_mode='r').shape[:2]
        for p in (tmp_path / 'cache').glob('*/foreground.clip.npy')
    }
    assert shapes == {(3, 40)}


def test_exchanged_views_are_cached_beside_the_others(tmp_path, data_root):
    recipe = tmp_path / 'exchange.py'
    recipe.write_text(
        "_base_ = 'fvgpt::fvgpt/coop_fvg_quickstart.py'\n"
        "model = dict(student_view='exchange', foreground_ce=1.0)\n"
        'optim_wrapper = dict(clip_grad=dict(max_norm=5))\n'
        'train_dataloader = dict(dataset=dict(pipeline=_base_.exchange_pipeline))\n'
    )
    kept = {'feature_cache.cache_dir': str(tmp_path / 'cache'), 'feature_cache.views': 2}
    run(tmp_path, data_root, 'run', recipe.with_suffix(''), **kept)
    (folder,) = {path.parent for path in (tmp_path / 'cache').glob('*/exchanged.clip.npy')}
    views = {
        name: np.load(folder / f'{name}.clip.npy') for name in ('full', 'foreground', 'exchanged')
    }
    assert {view.shape[:2] for view in views.values()} == {(2, 40)}
    # The views of an image differ from each other, and its exchanged views too
    assert not np.isclose(views['full'], views['exchanged']).all(-1).any()
    assert not np.isclose(*views['exchanged']).all(-1).any()
    identity = json.loads((folder / 'contents.json').read_text())['identity']
    assert 'PasteForeground(' in identity['pipeline'] and 'exchanged' in identity['towers']


def steps_of(data_root, *pipeline):
    return random_steps(
        DATASETS.build(
            dict(
                type='QuickstartWorld',
                data_root=str(data_root),
                test_per_class=3,
                lazy_init=True,
                pipeline=[dict(type='LoadImage'), *pipeline],
            )
        )
    )


class OwnTransform(BaseTransform):
    """A user's transform that draws random numbers, without "Random" in its name."""

    def transform(self, results):
        results['img'] = results['img'] + np.uint8(random.random() < 0.5)
        return results


class OwnResize(Resize):
    """A sub-class of a transform that is deterministic."""


def torchvision(name, **settings):
    return dict(type=f'mmpretrain.torchvision/{name}', **settings)


@pytest.mark.parametrize(
    'step, name',
    [
        (dict(type='PairedRandomResizedCrop', scale=8), 'PairedRandomResizedCrop'),
        (dict(type='mmpretrain.RandomFlip', prob=0.5), 'RandomFlip'),
        (dict(type='mmpretrain.ColorJitter'), 'ColorJitter'),
        (torchvision('RandomResizedCrop', size=8), 'RandomResizedCrop'),
        (torchvision('ColorJitter', brightness=0.5), 'ColorJitter'),
        (dict(type='mmpretrain.Lighting', eigval=[1.0], eigvec=[[1.0]]), 'Lighting'),
        (Albumentations.__new__(Albumentations), 'Albumentations'),  # needs its package to be built
        (OwnTransform(), 'OwnTransform'),
        (OwnResize(scale=8), 'OwnResize'),
        (
            dict(
                type='TransformBroadcaster',
                transforms=[dict(type='Resize', scale=8), OwnTransform()],
            ),
            'OwnTransform',
        ),
        (dict(type='RandomApply', transforms=[dict(type='Resize', scale=8)]), 'RandomApply'),
        (dict(type='Compose', transforms=[torchvision('RandomCrop', size=8)]), 'RandomCrop'),
    ],
)
def test_steps_that_are_not_known_to_be_deterministic_are_named(data_root, step, name):
    assert steps_of(data_root, step, dict(type='mmpretrain.PackInputs')) == [name]


def test_steps_that_draw_no_random_numbers_are_known(data_root):
    resize = dict(type='Resize', scale=8)
    pipeline = [
        resize,
        dict(type='mmpretrain.ResizeEdge', scale=8),
        dict(type='CenterCrop', crop_size=8),
        dict(type='Compose', transforms=[resize, dict(type='Compose', transforms=[resize])]),
        dict(type='KeyMapper', transforms=[resize], mapping=dict(img='img')),
        dict(type='mmpretrain.NumpyToPIL'),
        torchvision('Resize', size=8),
        torchvision('CenterCrop', size=8),
        dict(type='mmpretrain.PILToNumpy'),
        dict(type='LoadForegroundMask'),
        dict(type='PackForegroundInputs'),
    ]
    assert steps_of(data_root, *pipeline) == []


def test_images_are_used_if_a_step_is_not_known_to_be_deterministic(tmp_path, data_root, caplog):
    """Its name is logged once for training and once for the tests."""
    log_once.cache_clear()
    crop = [
        dict(type='LoadImage'),
        dict(type='NumpyToPIL'),
        dict(type='torchvision/RandomResizedCrop', size=64),
        dict(type='PILToNumpy'),
        dict(type='PackInputs'),
    ]
    options = {
        'train_dataloader.dataset.pipeline': crop,
        'test_dataloader.dataset.pipeline': crop,
        'feature_cache.cache_dir': str(tmp_path / 'cache'),
    }
    run(tmp_path, data_root, 'crops', 'coop_quickstart', **options)
    assert not list((tmp_path / 'cache').glob('*/contents.json'))
    log = next((tmp_path / 'crops').rglob('*.log')).read_text()
    for part in ('training', 'test'):
        assert log.count(f'features of {part} images are not cached: RandomResizedCrop may') == 1
