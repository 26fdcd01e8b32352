"""A wrong type or key in any part of a config is a one-line error before anything is built."""

import pytest
from mmengine.config import Config

from fvgpt.engine.runner.check_types import check_config, check_model
from fvgpt.engine.runner.recipe import load_recipe
from fvgpt.io.errors import UserError

from ...conftest import ROOT

RECIPES = ROOT / 'configs' / 'fvgpt'
PIPELINE = 'train_dataloader.dataset.pipeline'


@pytest.fixture
def config():
    return load_recipe(str(RECIPES / 'coop_fvg_quickstart.py'))


WRONG = {
    'model.type=FVGTP': "model.type: there is no model 'FVGTP'; did you mean FVGPT?",
    'model.fg_fil=black': "model: FVGPT has no parameter 'fg_fil'; did you mean fg_fill?",
    'model.tuner.type=CoOpp': "model.tuner.type: there is no model 'CoOpp'; did you mean CoOp?",
    'model.tuner.nctx=4': "model.tuner: CoOp has no parameter 'nctx'; did you mean n_ctx?",
    'model.tuner.clip.nam=x': (
        "model.tuner.clip: FrozenCLIP has no parameter 'nam'; did you mean name?"
    ),
    'model.tuner.clip.type=None': 'model.tuner.clip has no type: it must say which model it is',
    'model.tuner.clip.type=1': 'model.tuner.clip.type must be the name of a model, not 1',
    'model.tuner=1': 'model.tuner must be Union[fvgpt.tuners.base.PromptTuner, dict], not 1',
    'model.gate_loss.magin=1': (
        "model.gate_loss: ReliabilityLoss has no parameter 'magin'; did you mean margin?"
    ),
    'model.fixed_trust=high': "model.fixed_trust must be float, not 'high'",
    'train_dataloader.dataset.shots=4': (
        "train_dataloader.dataset: QuickstartWorld has no parameter 'shots'; did you mean "
        'num_shots?'
    ),
    'train_dataloader.sampler.type=X': "train_dataloader.sampler.type: there is no sampler 'X'",
    f'{PIPELINE}.0.type=LoadImag': (
        f"{PIPELINE}.0.type: there is no transform 'LoadImag'; did you mean LoadImage?"
    ),
    f'{PIPELINE}.2.scle=1': (
        f"{PIPELINE}.2: PairedRandomResizedCrop has no parameter 'scle'; did you mean scale?"
    ),
    'default_hooks.timer.type=Timer': "default_hooks.timer.type: there is no hook 'Timer'",
    'default_hooks.logger.intervall=1': (
        "default_hooks.logger: LoggerHook has no parameter 'intervall'; did you mean interval?"
    ),
    'default_hooks.class_names.type=ClassNameHook': (
        "default_hooks.class_names.type: there is no hook 'ClassNameHook'; did you mean "
        'ClassNamesHook?'
    ),
    'optim_wrapper.optimizer.learn=1': "optim_wrapper.optimizer: SGD has no parameter 'learn'",
    'optim_wrapper.optimizer.type=SGDD': (
        "optim_wrapper.optimizer.type: there is no optimizer 'SGDD'; did you mean SGD?"
    ),
    'param_scheduler.warm_up=1': (
        "param_scheduler: WarmupCosineLR has no parameter 'warm_up'; did you mean warmup_lr?"
    ),
    'train_cfg.max_epoch=1': (
        "train_cfg: EpochBasedTrainLoop has no parameter 'max_epoch'; did you mean max_epochs?"
    ),
    'test_cfg.test=1': "test_cfg: SubsetTestLoop has no parameter 'test'; did you mean tests?",
    'test_evaluator.type=SubsetAcc': (
        "test_evaluator.type: there is no metric 'SubsetAcc'; did you mean SubsetAccuracy?"
    ),
    'visualizer.vis_backends.0.type=X': "visualizer.vis_backends.0.type: there is no part 'X'",
    'train_cfg=None': (
        'the recipe has train_dataloader and optim_wrapper, but no train_cfg, which belongs to it'
    ),
}


@pytest.mark.parametrize('option', WRONG)
def test_the_key_is_named_and_what_may_be_meant(config, option):
    key, value = option.split('=')
    config.merge_from_dict({key: {'1': 1, 'None': None}.get(value, value)})
    with pytest.raises(UserError) as refused:
        check_config(config)
    assert str(refused.value) == WRONG[option]


def test_a_required_parameter_is_asked_for():
    check_model('model', dict(type='CoOp', clip=dict(type='FrozenCLIP', name='quickstart')))
    step = Config(
        dict(
            test_dataloader=dict(dataset=dict(type='QuickstartWorld', pipeline=[dict(type='X')])),
            test_cfg=dict(),
            test_evaluator=dict(type='SubsetAccuracy'),
        )
    )
    with pytest.raises(
        UserError, match=r"^test_dataloader\.dataset: QuickstartWorld needs 'data_root'$"
    ):
        check_config(step)


@pytest.mark.parametrize(
    'part',
    [
        dict(
            type='ResNet', depth=18, norm_cfg=dict(type='SyncBN'), init_cfg=dict(type='Pretrained')
        ),
        dict(type='mmpretrain.ResNet', depth=18),
        dict(type='ResNet', _scope_='mmpretrain', depth=18),
        dict(
            type='LinearClsHead', num_classes=3, in_channels=4, loss=dict(type='CrossEntropyLoss')
        ),
    ],
)
def test_parts_of_other_packages_are_let_be(part):
    config = Config(dict(default_scope='mmpretrain', model=part))
    check_config(config)


@pytest.mark.parametrize(
    'path',
    [*sorted((ROOT / 'configs' / 'mixing').glob('*.py')), *sorted(RECIPES.glob('*quickstart.py'))],
    ids=lambda path: path.stem,
)
def test_every_recipe_passes(path):
    check_config(load_recipe(str(path)))
