"""Wrong options are reported before anything starts, with a suggestion."""

import pytest
from mmengine.config import Config

from fvgpt.engine.runner.inputs import check_inputs
from fvgpt.engine.runner.options import check_loader, check_options, read_recipe
from fvgpt.engine.runner.recipe import load_recipe
from fvgpt.registry import MODELS

from ...conftest import ROOT

RECIPE = str(ROOT / 'configs' / 'fvgpt' / 'coop_fvg_quickstart.py')


@pytest.mark.parametrize(
    'option, complaint',
    [
        (
            'num_shot',
            "no key 'num_shot', num_shot=... would change nothing; did you mean num_shots?",
        ),
        ('xyz.a', "no key 'xyz', xyz.a=... would change nothing$"),
        (
            'train_dataloader.dataset.seed',
            'overwritten by a key at the top of the recipe: give seed=...',
        ),
        (
            'test_dataloader.dataset.num_shots',
            'overwritten by a key at the top of the recipe: give num_shots=...',
        ),
        (
            'test_cfg.tests.subset',
            r'test_cfg.tests is a list of 2 .* must say which entry: test_cfg.tests.0 is the first',
        ),
        ('test_cfg.tests.2.subset', 'test_cfg.tests is a list of 2'),
        (
            'test_dataloader.1.batch_size',
            r'test_dataloader is one loader: give test_dataloader.batch_size=\.\.\. '
            r'for all tests, or test_cfg.tests.1.KEY=\.\.\. for the data set of one',
        ),
    ],
)
def test_options_without_an_effect_are_refused(option, complaint):
    with pytest.raises(ValueError, match=complaint):
        load_recipe(RECIPE, {option: 1})


def test_options_that_somebody_reads_are_taken():
    check_options(
        Config.fromfile(RECIPE),
        [
            'seed',
            'layout',
            'feature_cache.views',
            'load_from',
            'clip',
            'test_dataloader.batch_size',
            'test_cfg.tests.1.subset',
            'model.gate_loss.margin',
            'train_dataloader.dataset.subset',
            'custom_hooks',
            'tta_model.type',
        ],
    )
    alone = Config(dict(model=dict(), train_dataloader=dict()))  # without such keys at the top
    check_options(alone, ['model.clip.name', 'train_dataloader.dataset.data_root'])


def test_wrong_keys_of_loaders_are_found_with_the_paths(tmp_path):
    check_loader(dict(dataset={}, batch_size=1, sampler={}, num_batch_per_epoch=3))
    config = load_recipe(RECIPE, {'data_root': str(tmp_path), 'test_dataloader.batch_sise': 4})
    with pytest.raises(ValueError, match="unknown key 'batch_sise'; did you mean batch_size?"):
        check_inputs(config)


def test_a_missing_recipe_gives_a_suggestion_or_the_folder_that_was_searched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'mine.py').touch()
    with pytest.raises(
        FileNotFoundError, match='there is no recipe mime.py; did you mean mine.py?'
    ):
        read_recipe('mime.py')
    with pytest.raises(FileNotFoundError, match=f'there is no recipe configs/x.py in {tmp_path}'):
        read_recipe('configs/x.py')
    with pytest.raises(FileNotFoundError, match='there is no recipe /configs/x.py$'):
        read_recipe('/configs/x.py')
    (tmp_path / 'mine.py').write_text("_base_ = 'configs/fvgpt/coop_fvg_custom.py'")
    with pytest.raises(
        FileNotFoundError,
        match=rf'mine.py: there is no {tmp_path}/configs/fvgpt/coop_fvg_custom.py\. Paths',
    ):
        read_recipe('mine.py')


def test_one_key_of_a_part_of_fvgpt_leaves_its_type(quickstart_clip):
    keys = {
        'distillation_loss.loss_weight': 7.0,
        'gate_loss.margin': 0.5,
        'calibration_loss.use_kl': False,
        'calibration.hidden': 4,
        'compensation.bottleneck': 8,
        'reliability_gate.layers': 1,
    }
    config = load_recipe(RECIPE, {f'model.{key}': value for key, value in keys.items()}).model
    model = MODELS.build(dict(config, tuner=dict(config.tuner, clip=quickstart_clip)))
    assert (
        model.distillation_loss.loss_weight,
        model.gate_loss.margin,
        model.calibration_loss.use_kl,
    ) == (7.0, 0.5, False)
    default = MODELS.build(dict(type='FVGPT', tuner=dict(config.tuner, clip=quickstart_clip)))
    for part in (
        'calibration',
        'compensation',
        'reliability_gate',
        'distillation_loss',
        'gate_loss',
        'calibration_loss',
    ):
        assert type(getattr(model, part)) is type(getattr(default, part))
