"""A recipe is resolved in one pass, and what it means does not depend on how its keys were set."""

import pytest
from mmengine.config import Config

from fvgpt.engine.runner.changes import changes
from fvgpt.engine.runner.config_parts import built_datasets
from fvgpt.engine.runner.recipe import load_recipe
from fvgpt.engine.runner.resolve import resolve
from fvgpt.engine.runner.stage_one import tuner_config
from fvgpt.io.errors import UserError

from ...conftest import ROOT

RECIPES = ROOT / 'configs' / 'fvgpt'
RECIPE = str(RECIPES / 'coop_fvg_quickstart.py')


@pytest.mark.parametrize(
    'options', [{}, {'clip.name': 'ViT-B-32', 'feature_cache.views': 2, 'seed': 3, 'num_shots': 4}]
)
@pytest.mark.parametrize(
    'path', sorted(RECIPES.glob('*_fvg_quickstart.py'))[:3], ids=lambda p: p.stem
)
def test_a_resolved_recipe_stays_as_it_is(path, options, tmp_path):
    once = load_recipe(str(path), options)
    assert resolve(once).to_dict() == once.to_dict()
    once.dump(tmp_path / 'resolved.py')
    assert resolve(Config.fromfile(tmp_path / 'resolved.py')).to_dict() == once.to_dict()


def test_the_recipe_given_is_not_changed():
    config = Config.fromfile(RECIPE)
    before = config.to_dict()
    resolve(config)
    assert config.to_dict() == before


# ------------------------------------------------------------------ one CLIP
def own_file(folder, text):
    path = folder / 'mine.py'
    path.write_text(f"_base_ = '{RECIPE}'\n{text}\n")
    return str(path)


@pytest.mark.parametrize(
    'text', ["clip = dict(name='ViT-B-32')", "model = dict(tuner=dict(clip=dict(name='ViT-B-32')))"]
)
def test_either_clip_of_a_config_of_ones_own_holds_for_the_whole_recipe(tmp_path, text):
    config = load_recipe(own_file(tmp_path, text))
    config.work_dir = str(tmp_path)
    for part in (config.clip, config.model.tuner.clip, tuner_config(config).model.clip):
        assert part.name == 'ViT-B-32'
    assert config.image_size == 224 == built_datasets(config)[0].pipeline[2].scale


@pytest.mark.parametrize('key', ['clip.name', 'model.tuner.clip.name'])
@pytest.mark.parametrize('text', ['', "clip = dict(pretrained='random')"])
def test_an_option_may_name_either(tmp_path, text, key):
    config = load_recipe(own_file(tmp_path, text), {key: 'ViT-B-32'})
    assert config.clip.name == config.model.tuner.clip.name == 'ViT-B-32'


def test_two_clips_are_refused(tmp_path):
    path = own_file(
        tmp_path, "clip = dict(name='ViT-B-32')\nmodel = dict(tuner=dict(clip=dict(name='RN50')))"
    )
    with pytest.raises(
        UserError, match=r"clip\.name is 'ViT-B-32' and model\.tuner\.clip\.name is 'RN50': they"
    ):
        load_recipe(path)


# ------------------------------------------------------------------ what was changed
def test_changes_are_the_options_that_make_one_config_of_another():
    before = Config.fromfile(RECIPE)
    options = {
        'train_cfg.max_epochs': 3,
        'test_cfg.tests.1.split': 'val',
        'model.tuner.n_ctx': 2,
        'load_from': 'x.pth',
        'feature_cache.views': 4,
        'optim_wrapper.optimizer.lr': 1,
    }
    now = Config.fromfile(RECIPE)
    now.merge_from_dict(options)
    found = changes(before, now)
    assert found.pop('feature_cache') == dict(views=4)
    options.pop('feature_cache.views')
    assert found == options
    again = Config.fromfile(RECIPE)
    again.merge_from_dict(changes(before, now))
    assert again.to_dict() == now.to_dict()


def test_an_optimizer_of_another_kind_is_changed_as_a_whole():
    before, now = Config.fromfile(RECIPE), Config.fromfile(RECIPE)
    now.optim_wrapper.optimizer = dict(type='Adam', lr=1.0)
    assert changes(before, now) == {
        'optim_wrapper.optimizer': dict(type='Adam', lr=1.0, _delete_=True)
    }
    before.merge_from_dict(changes(before, now))
    assert before.optim_wrapper.optimizer == dict(type='Adam', lr=1.0)


def test_what_was_changed_holds_for_stage_one_however_it_was_changed(tmp_path):
    by_option = load_recipe(RECIPE, {'train_cfg.max_epochs': 3, 'model.tuner.n_ctx': 2})
    in_python = Config.fromfile(RECIPE)
    in_python.train_cfg.max_epochs, in_python.model.tuner.n_ctx = 3, 2
    in_python.model.fg_fill = 'black'  # none of stage 1
    stages = []
    for config in (by_option, resolve(in_python)):
        config.work_dir = str(tmp_path)
        stages.append(tuner_config(config))
    assert stages[0].to_dict() == stages[1].to_dict()
    assert stages[0].train_cfg.max_epochs == 3 and stages[0].model.n_ctx == 2


def test_an_option_with_the_value_of_stage_two_reaches_stage_one(tmp_path):
    recipe = str(RECIPES / 'tip_adapter_fvg_quickstart.py')  # 1 epoch, then 10
    epochs = Config.fromfile(recipe).train_cfg.max_epochs
    stages = []
    for options in (None, {'train_cfg.max_epochs': epochs}):
        config = load_recipe(recipe, options)
        config.work_dir = str(tmp_path)
        stages.append(tuner_config(config).train_cfg.max_epochs)
    assert stages[0] != epochs == stages[1]


def test_a_key_that_nobody_reads_is_refused_however_it_was_set():
    config = Config.fromfile(RECIPE)
    config.num_shot = 4
    with pytest.raises(UserError, match='did you mean num_shots?'):
        resolve(config)
