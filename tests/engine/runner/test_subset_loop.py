"""Tests of a recipe: one loader, and the keys in which the data set of each test differs."""

import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from fvgpt.engine.runner.config_parts import built_datasets, dataset_of_test, datasets_of
from fvgpt.engine.runner.recipe import build_runner, load_recipe
from fvgpt.io.errors import UserError

from ...conftest import ROOT

RECIPE = ROOT / 'configs' / 'fvgpt' / 'coop_quickstart.py'


@pytest.fixture(scope='module')
def options(tmp_path_factory):
    return {
        'data_root': str(tmp_path_factory.mktemp('world')),
        'train_dataloader.dataset.test_per_class': 1,
        'test_dataloader.dataset.test_per_class': 1,
    }


def loaded(config, folder):
    """Subset, branch, column and number of images of each test that is run."""
    runner = build_runner(config, str(folder))
    loop = runner.build_test_loop(runner._test_loop)
    return [
        (
            loader.dataset.subset,
            loader.dataset.metainfo.get('branch'),
            loader.dataset.metainfo.get('column'),
            len(loader.dataset),
            loader.batch_size or loader.batch_sampler.batch_size,
        )
        for loader in loop.dataloaders
    ]


def test_each_test_has_its_own_keys_and_the_rest_of_the_loader(options, tmp_path):
    config = load_recipe(str(RECIPE), {**options, 'test_dataloader.batch_size': 7})
    halves = [('base', 'base', None, 20, 7), ('new', 'new', None, 20, 7)]
    assert loaded(config, tmp_path / 'halves') == halves
    config.test_cfg.tests = [
        dict(subset='new', metainfo=dict(branch='open', column='mixed')),
        dict(config.train_dataloader.dataset, split='test', subset='base'),
    ]
    assert loaded(config, tmp_path / 'others') == [
        ('new', 'open', 'mixed', 20, 7),
        ('base', 'base', None, 20, 7),
    ]
    names = [d.metainfo.dataset_name for d in built_datasets(config, ['test'])]
    assert names == ['QuickstartWorld'] * 2, 'metainfo is merged, not replaced'


def test_without_tests_it_is_the_data_set_of_the_loader(options, tmp_path):
    config = load_recipe(str(RECIPE), options)
    config.test_cfg.pop('tests')
    assert loaded(config, tmp_path) == [('all', 'base', None, 40, 100)]
    assert [d.get('subset') for d in built_datasets(config, ['test'])] == [None]


def test_top_level_keys_reach_whole_data_sets_of_tests_too(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text(
        f'_base_ = {str(RECIPE)!r}\nclip = dict(name="ViT-B-16")\nimage_size = 64\n'
        'pipeline = [dict(type="LoadImage"), dict(type="CenterCrop", crop_size=64), '
        'dict(type="PackInputs")]\n'
        'own = dict(type="ClassFolderDataset", img_dir="x", split="test", pipeline=pipeline)\n'
        'test_cfg = dict(tests=[own, dict(pipeline=pipeline)])\n'
    )
    config = load_recipe(str(path), {'data_root': '/data', 'num_shots': 3})
    whole, merged = built_datasets(config, ['test'])
    for dataset in (whole, merged):
        assert (dataset.data_root, dataset.num_shots) == ('/data', 3)
        assert dataset.pipeline[1].crop_size == 224, 'sizes follow the CLIP'
    assert len(datasets_of(config)) == 3


def test_a_test_changes_neither_the_loader_nor_itself():
    dataset, test = dict(type='A', metainfo=dict(a=1)), dict(metainfo=dict(_delete_=True, b=2))
    assert dataset_of_test(dataset, test) == dict(type='A', metainfo=dict(b=2))
    assert dataset['metainfo'] == dict(a=1) and test['metainfo'] == dict(_delete_=True, b=2)


def list_of_loaders(config: Config) -> list:
    """The tests of a recipe as version 0.1.0 wrote them."""
    loader = config.test_dataloader.to_dict()
    return [dict(loader, dataset=dict(loader['dataset'], subset=half)) for half in ('base', 'new')]


def test_a_recipe_of_version_0_1_0_tests_what_it_tested(options, tmp_path):
    config = Config.fromfile(RECIPE)
    loaders = list_of_loaders(config)
    values = dict(config.to_dict(), test_dataloader=loaders, test_cfg=dict(type='SubsetTestLoop'))
    old = tmp_path / 'old.py'
    Config(values).dump(old)
    here = {key: value for key, value in options.items() if not key.startswith('test_')}
    few = {f'test_dataloader.{i}.dataset.test_per_class': 1 for i in (0, 1)}
    now = loaded(load_recipe(str(RECIPE), options), tmp_path / 'now')
    assert loaded(load_recipe(str(old), {**here, **few}), tmp_path / 'then') == now
    loaders[1]['batch_size'] = 3
    Config(values).dump(old)
    with pytest.raises(UserError, match='differ in more than their data set; write one loader'):
        load_recipe(str(old))


def test_a_list_of_loaders_in_another_command_is_one_clear_line(tmp_path):
    config = load_recipe(str(RECIPE))
    config.test_dataloader = list_of_loaders(config)
    config.work_dir = str(tmp_path)
    runner = Runner.from_cfg(config)
    with pytest.raises(UserError, match=r'test_dataloader is a list; write one loader.*tests=\['):
        runner.test()


def test_tests_of_a_loader_that_was_built_are_refused(tmp_path):
    runner = build_runner(load_recipe(str(RECIPE)), str(tmp_path))
    loop = dict(type='SubsetTestLoop', tests=[dict(subset='base')])
    runner._test_dataloader = DataLoader([1, 2])
    with pytest.raises(UserError, match='needs test_dataloader as a config'):
        runner.build_test_loop(loop)


def test_a_difference_of_other_than_two_columns_is_refused(tmp_path):
    runner = build_runner(load_recipe(str(RECIPE)), str(tmp_path))
    loop = dict(type='SubsetTestLoop', differences=dict(gap='base'))
    with pytest.raises(UserError, match=r"differences\.gap must be two names of columns, not 'ba"):
        runner.build_test_loop(loop)
