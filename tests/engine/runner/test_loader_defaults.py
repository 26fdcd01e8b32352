"""The number of workers depends on the machine unless the recipe sets it."""

import os

import pytest
import torch
from mmengine.config import Config

from fvgpt.engine.runner.loader_defaults import MAX_WORKERS, available_workers, set_loader_defaults
from fvgpt.engine.runner.recipe import build_runner, load_recipe

from ...conftest import ROOT


@pytest.mark.parametrize(
    'cores, processes, workers',
    [(1, 1, 1), (2, 1, 2), (8, 2, 4), (8, 3, 2), (2, 8, 1), (256, 1, MAX_WORKERS)],
)
def test_a_process_has_its_share_of_the_cores_it_may_run_on(monkeypatch, cores, processes, workers):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: set(range(cores)))
    monkeypatch.setenv('LOCAL_WORLD_SIZE', str(processes))
    assert available_workers() == workers


def test_without_scheduling_affinity_all_cores_count(monkeypatch):
    monkeypatch.delattr(os, 'sched_getaffinity')
    monkeypatch.delenv('LOCAL_WORLD_SIZE', raising=False)
    monkeypatch.setattr(os, 'cpu_count', lambda: 3)
    assert available_workers() == 3


@pytest.mark.parametrize('gpu', [True, False])
def test_keys_of_a_recipe_have_priority_and_the_rest_is_filled_in(monkeypatch, gpu):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: {0, 1, 2})
    monkeypatch.delenv('LOCAL_WORLD_SIZE', raising=False)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpu)
    config = Config(
        dict(
            train_dataloader=dict(batch_size=4),
            val_dataloader=dict(num_workers=0),
            test_dataloader=dict(num_workers=5, pin_memory=False),
        )
    )
    set_loader_defaults(config)
    assert config.train_dataloader == dict(
        batch_size=4, num_workers=3, pin_memory=gpu, persistent_workers=True
    )
    assert config.val_dataloader == dict(num_workers=0, pin_memory=gpu, persistent_workers=False)
    assert config.test_dataloader == dict(num_workers=5, pin_memory=False, persistent_workers=False)
    tested = Config(dict(test_dataloader=dict()))
    set_loader_defaults(tested)
    assert tested.test_dataloader == dict(num_workers=3, pin_memory=gpu, persistent_workers=False)
    set_loader_defaults(Config(dict(model=dict())))  # nothing to load


def test_a_number_on_the_command_line_wins_and_the_runner_has_it(tmp_path):
    recipe = str(ROOT / 'configs' / 'fvgpt' / 'coop_quickstart.py')
    few = {
        f'{loader}.dataset.test_per_class': 1 for loader in ('train_dataloader', 'test_dataloader')
    }
    options = {
        'data_root': str(tmp_path / 'data'),
        'train_dataloader.num_workers': 1,
        'num_shots': 1,
        **few,
    }
    runner = build_runner(load_recipe(recipe, options), str(tmp_path / 'run'))
    loader = runner.build_dataloader(runner.cfg.train_dataloader)
    assert loader.num_workers == 1 and loader.persistent_workers
    assert runner.cfg.test_dataloader.num_workers == 0  # the recipe's own: tiny images
