"""Every recipe resolves from any working directory and builds its model, with random weights in a small tower."""
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from fvgpt.engine.prompt_aggregation import GaussianPromptAggregationHook
from fvgpt.engine.protocol import load_protocol
from fvgpt.engine.recipe import datasets_of, load_recipe
from fvgpt.foreground import FVGPT
from fvgpt.registry import HOOKS, MODELS, TRANSFORMS
from fvgpt.tuners import PromptTuner

from .conftest import ROOT

RECIPES = sorted((ROOT / 'configs' / 'fvgpt').glob('*.py'))
PROTOCOLS = sorted((ROOT / 'configs' / 'protocols').glob('*.py'))


@pytest.mark.parametrize('path', RECIPES, ids=lambda p: p.stem)
def test_recipe_builds(path, tmp_path, monkeypatch, quickstart_clip, request):
    monkeypatch.chdir(tmp_path)
    config = load_recipe(str(path), dict(data_root=str(tmp_path), seed=3, num_shots=2))
    for dataset in datasets_of(config):
        assert (dataset.data_root, dataset.seed, dataset.num_shots) == (str(tmp_path), 3, 2)
    assert config.randomness.seed == 3
    with_tuner = config.model.tuner if config.model.type == 'FVGPT' else config.model
    if with_tuner.clip.name == 'ViT-B-16':
        twelve_layers = request.getfixturevalue('twelve_layers')
        with_tuner.clip = dict(type='FrozenCLIP', name=f'local-dir:{twelve_layers}', pretrained='random')
    model = MODELS.build(config.model)
    if config.get('tuner_recipe'):
        assert isinstance(model, FVGPT)
        tuner_config = load_recipe(str(path.parent / config.tuner_recipe))
        assert tuner_config.model.type == config.model.tuner.type
        assert any(step.type == 'LoadForegroundMask' for step in config.train_dataloader.dataset.pipeline)
        assert not any(hook['type'] == GaussianPromptAggregationHook.__name__ for hook in config.custom_hooks)
    else:
        assert isinstance(model, PromptTuner)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        for dataset in datasets_of(config):
            assert all(TRANSFORMS.build(step) for step in dataset.pipeline)
        assert all(HOOKS.build(hook) for hook in config.custom_hooks)


@pytest.fixture(scope='session')
def twelve_layers(tmp_path_factory):
    from .conftest import TINY_CONFIG, write_clip_folder
    return write_clip_folder(tmp_path_factory.mktemp('twelve_layers'), TINY_CONFIG)


def test_recipes_are_a_few_lines():
    for path in RECIPES:
        assert len(path.read_text().splitlines()) <= 15, path.name


@pytest.mark.parametrize('path', PROTOCOLS, ids=lambda p: p.stem)
def test_protocols_name_recipes_that_exist(path):
    for entry in load_protocol(str(path)).values():
        assert Config.fromfile(entry['recipe']).model.type == 'FVGPT'


def test_options_of_the_command_line_reach_every_part(tmp_path):
    recipe = str(ROOT / 'configs' / 'fvgpt' / 'coop_fvg_imagenet.py')
    config = load_recipe(recipe, {'clip.pretrained': '/weights/ViT-B-16.pt', 'num_shots': 4})
    assert config.model.tuner.clip.pretrained == '/weights/ViT-B-16.pt'
    assert {dataset.num_shots for dataset in datasets_of(config)} == {4}
