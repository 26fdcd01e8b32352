"""Hooks of our recipes have names, by which another recipe switches one off or adds its own."""

import re

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from fvgpt.engine.runner.recipe import build_runner, load_recipe

from ...conftest import ROOT

CONFIGS = ROOT / 'configs'
# of version 0.1.0: results are bit-equal only in this order
ORDER = [
    'LossHistoryHook',
    'ClassNamesHook',
    'IterTimerHook',
    'DistSamplerSeedHook',
    'FiniteHook',
    'RandomStateHook',
    'ProvenanceHook',
    'TipCacheHook',
    'LoggerHook',
    'ParamSchedulerHook',
    'GaussianPromptAggregationHook',
    'FeatureCacheHook',
    'CheckpointHook',
    'CostHook',
]


def hooks_of(runner: Runner) -> list:
    return [type(hook).__name__ for hook in runner.hooks]


@pytest.mark.parametrize(
    'name, own',
    [
        ('coop_quickstart', []),
        ('promptsrc_quickstart', ['GaussianPromptAggregationHook']),
        ('promptsrc_fvg_quickstart', []),
        ('tip_adapter_quickstart', ['TipCacheHook']),
        ('tip_adapter_f_fvg_quickstart', []),
    ],
)
def test_order_and_the_hooks_of_a_tuners_own_training(name, own, tmp_path):
    config = load_recipe(str(CONFIGS / 'fvgpt' / f'{name}.py'), {'feature_cache.views': 2})
    shared = set(ORDER) - {'GaussianPromptAggregationHook', 'TipCacheHook'}
    expected = [hook for hook in ORDER if hook in {*shared, *own}]
    assert hooks_of(build_runner(config, str(tmp_path))) == expected


@pytest.mark.parametrize('kept', ['custom_hooks = [', 'custom_hooks = [*_base_.custom_hooks, '])
def test_a_list_of_your_own_loses_none_of_ours(kept, tmp_path):
    (tmp_path / 'mine.py').write_text(
        f'_base_ = {str(CONFIGS / "fvgpt" / "coop_quickstart.py")!r}\n'
        f"{kept}dict(type='EMAHook')]\ndefault_hooks = dict(cost=None, timer=None)\n"
    )
    hooks = hooks_of(build_runner(load_recipe(str(tmp_path / 'mine.py')), str(tmp_path)))
    assert {'EMAHook', 'ClassNamesHook', 'ProvenanceHook'} <= set(hooks)
    assert not {'CostHook', 'IterTimerHook'} & set(hooks)


def test_a_hook_that_is_named_in_the_list_of_version_0_1_0_too_saves_checkpoints(tmp_path):
    runner = {
        'data_root': str(tmp_path / 'world'),
        'num_shots': 1,
        'train_cfg.max_epochs': 1,
        'train_dataloader.dataset.test_per_class': 1,
    }
    config = load_recipe(str(CONFIGS / 'fvgpt' / 'coop_quickstart.py'), runner)
    config.custom_hooks = [dict(type='ClassNamesHook'), dict(type='ProvenanceHook')]
    build_runner(config, str(tmp_path / 'run')).train()
    saved = torch.load(tmp_path / 'run' / 'epoch_1.pth', weights_only=True)
    assert len(saved['meta']['fvgpt']['class_names']) == 20


def test_no_config_counts_hooks():
    counting = re.compile(r'custom_hooks(\[|\.\d)')
    assert [path for path in CONFIGS.rglob('*.py') if counting.search(path.read_text())] == []


def test_configs_of_mixing_name_theirs():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        for path in (CONFIGS / 'mixing').glob('*.py'):
            config = Config.fromfile(path)
            if 'tuner' in config.model.get('head', dict(tuner=None)):
                assert config.default_hooks.class_names.type == 'ClassNamesHook', path
