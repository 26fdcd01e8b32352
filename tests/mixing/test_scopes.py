"""Our types work in any ``default_scope``, and a name clash with another package is an error."""

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope, Registry
from mmengine.runner import Runner

from fvgpt.registry import MODELS
from fvgpt.tuners import CoOp

from .conftest import small


@pytest.mark.parametrize('default_scope', ['mmdet', 'mmseg', 'mmengine', 'their_own'])
def test_a_recipe_by_its_prefix_trains_and_tests_in_other_scopes(tmp_path, world, default_scope):
    path = tmp_path / 'foreign.py'
    path.write_text(f"""
_base_ = 'fvgpt::fvgpt/coop_quickstart.py'
default_scope = {default_scope!r}
train_cfg = dict(max_epochs=1)
train_dataloader = dict(
    dataset=dict(pipeline=[dict(type='LoadImage'), dict(type='PackForegroundInputs')])
)
""")
    config = Config.fromfile(path)
    config.work_dir = str(tmp_path / 'work')
    with DefaultScope.overwrite_default_scope(default_scope):
        runner = Runner.from_cfg(Config(small(config.to_dict(), world), format_python_code=False))
        runner.train()
        assert runner.iter == 5
        assert {'tuner/base', 'tuner/new', 'tuner/h'} <= set(runner.test())


@pytest.mark.parametrize('default_scope', ['mmdet', 'mmengine', 'their_own'])
def test_the_head_for_plain_networks_is_built_in_other_scopes(default_scope):
    with DefaultScope.overwrite_default_scope(default_scope):
        head = MODELS.build(dict(type='ForegroundDistillationHead', num_classes=3, in_channels=4))
    assert type(head.loss_module).__module__.startswith('mmpretrain.')


def test_a_name_that_is_taken_is_reported():
    with pytest.raises(KeyError, match='CoOp is already registered'):
        MODELS.register_module(name='CoOp', module=type('CoOp', (), {}))


def test_a_name_that_hides_ours_in_another_scope_can_be_passed_by():
    theirs = Registry('model', parent=MODELS, scope='their_own_models')
    try:
        theirs.register_module(name='CoOp', module=type('TheirCoOp', (), {}))
        assert theirs.get('CoOp').__name__ == 'TheirCoOp'
        assert theirs.get('mmengine.CoOp') is CoOp
        assert theirs.get('KgCoOp') is MODELS.get('KgCoOp')
    finally:
        MODELS.children.pop('their_own_models')
