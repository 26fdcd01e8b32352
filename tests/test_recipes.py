"""Every recipe can be resolved from any working directory, and its model can be built (here with
random weights in a small tower)."""

import subprocess

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from fvgpt.clip import CUSTOM_TEMPLATES, FrozenCLIP
from fvgpt.engine.runner.config_parts import built_datasets, datasets_of, is_few_shot
from fvgpt.engine.runner.recipe import load_recipe
from fvgpt.foreground import FVGPT
from fvgpt.recipes import DATA_SETS, TUNERS, Code, Recipe, files, recipe_text, recipes
from fvgpt.registry import HOOKS, MODELS, TRANSFORMS
from fvgpt.tuners import PromptTuner

from .conftest import ROOT, TINY_CONFIG, run_tool, write_clip_folder

RECIPES = sorted((ROOT / 'configs' / 'fvgpt').glob('*.py'))
ON_IMAGES = [path for path in RECIPES if not path.stem.endswith('_features')]
FIELD = [
    'imagenet',
    'caltech101',
    'oxford_pets',
    'stanford_cars',
    'oxford_flowers',
    'food101',
    'fgvc_aircraft',
    'sun397',
    'dtd',
    'eurosat',
    'ucf101',
]


@pytest.mark.parametrize('path', ON_IMAGES, ids=lambda p: p.stem)
def test_recipe_builds(path, tmp_path, monkeypatch, quickstart_clip, twelve_layers):
    monkeypatch.chdir(tmp_path)
    config = load_recipe(str(path), dict(data_root=str(tmp_path), seed=3, num_shots=2))
    for dataset in datasets_of(config):
        assert dataset.data_root == str(tmp_path)
        if is_few_shot(dataset):  # mmpretrain's own know neither
            assert (dataset.seed, dataset.num_shots) == (3, 2)
    assert config.randomness.seed == 3
    assert config.default_hooks.finite.type == 'FiniteHook', (
        'diverging training would replace the last good checkpoint'
    )
    hooks = {name: hook for name, hook in config.default_hooks.items() if hook is not None}
    with_tuner = config.model.tuner if config.model.type == 'FVGPT' else config.model
    with_tuner.clip = twelve_layers if with_tuner.clip.name == 'ViT-B-16' else quickstart_clip
    model = MODELS.build(config.model)
    if config.get('tuner_recipe'):
        assert isinstance(model, FVGPT)
        tuner_config = load_recipe(str(path.parent / config.tuner_recipe))
        assert tuner_config.model.type == config.model.tuner.type
        assert any(
            step.type == 'LoadForegroundMask' for step in config.train_dataloader.dataset.pipeline
        )
        assert not {'prompt_aggregation', 'tip_cache'} & set(hooks), "of the tuner's own training"
        assert set(tuner_config.default_hooks) == set(config.default_hooks)
    else:
        assert isinstance(model, PromptTuner)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        for dataset in datasets_of(config):
            assert all(TRANSFORMS.build(step) for step in dataset.pipeline)
        assert all(HOOKS.build(hook) for hook in hooks.values())


@pytest.fixture(scope='session')
def twelve_layers(tmp_path_factory):
    """One tower for all: random weights, as many layers as ViT-B/16."""
    folder = write_clip_folder(tmp_path_factory.mktemp('twelve_layers'), TINY_CONFIG)
    return FrozenCLIP(f'local-dir:{folder}', pretrained='random')


def test_every_file_equals_its_row_of_the_table():
    texts = {path.name: path.read_text() for path in RECIPES[0].parent.iterdir() if path.is_file()}
    assert texts == files(), 'run python tools/make_recipes.py'
    done = run_tool('tools/make_recipes.py', '--check')
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_table_describes_each_recipe():
    assert list(recipes()) == [path.stem for path in RECIPES]
    dtd = recipes()['kgcoop_fvg_dtd']
    assert (dtd.tuner, dtd.data_set, dtd.stage) == ('kgcoop', 'dtd', 2)
    assert dtd.what == 'FVG-PT on KgCoOp, DescribableTextures'
    for name, recipe in recipes().items():
        config = Config.fromfile(RECIPES[0].parent / f'{name}.py')
        assert (config.model.type == 'FVGPT') == (recipe.stage == 2) == ('_fvg_' in name)
        assert recipe.what and recipe.tuner in TUNERS and recipe.data_set in DATA_SETS


def test_long_values_are_written_as_the_formatter_writes_them(tmp_path):
    keys = dict(
        a=dict(b='x' * 60, c=[1, dict(d=Code('e'))], f=dict(g=None, h='y' * 90)), z='s' * 90
    )
    text = recipe_text(Recipe('n', 'coop', 'dtd', 1, 'w', './b.py', keys, notes=dict(z='why')))
    path = tmp_path / 'n.py'
    path.write_text(text)
    ruff = ['ruff', 'format', '--config', str(ROOT / 'pyproject.toml'), str(path)]
    done = subprocess.run(ruff, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert path.read_text() == text and '# why\nz = ' in text


def test_recipes_are_a_few_lines():
    for path in RECIPES:
        assert len(path.read_text().splitlines()) <= 15, path.name


@pytest.mark.parametrize('data_set', FIELD)
def test_four_tuners_with_and_without_fvgpt_on_every_data_set(data_set):
    facts = Config.fromfile(ROOT / 'configs' / '_base_' / 'datasets' / f'{data_set}.py').facts
    for tuner, kind in dict(
        coop='CoOp', kgcoop='KgCoOp', promptsrc='PromptSRC', mmrl='MMRL'
    ).items():
        for name in (f'{tuner}_{data_set}.py', f'{tuner}_fvg_{data_set}.py'):
            config = Config.fromfile(ROOT / 'configs' / 'fvgpt' / name)
            own = config.model.tuner if '_fvg_' in name else config.model
            assert own.type == kind
            assert (
                {dataset.metainfo.dataset_name for dataset in datasets_of(config)}
                == {facts.title}
                <= set(CUSTOM_TEMPLATES)
            )
            assert [dataset.subset for dataset in built_datasets(config)] == ['base', 'base', 'new']
            stage1 = ROOT / 'configs' / 'fvgpt' / f'{tuner}_{data_set}.py'
            assert config.get('tuner_recipe') == (str(stage1) if '_fvg_' in name else None)
            short = tuner == 'coop' and data_set == 'eurosat'  # 80 images only (decision O19)
            assert config.train_cfg.max_epochs == (20 if short else 10)
            if tuner == 'coop':
                assert config.optim_wrapper.optimizer.lr == (0.002 if short else 0.0035)


def test_options_of_the_command_line_reach_every_part(tmp_path):
    recipe = str(ROOT / 'configs' / 'fvgpt' / 'coop_fvg_imagenet.py')
    config = load_recipe(
        recipe, {'clip.pretrained': '/weights/ViT-B-16.pt', 'num_shots': 4, 'layout': 'archives'}
    )
    assert config.model.tuner.clip.pretrained == '/weights/ViT-B-16.pt'
    assert {(dataset.num_shots, dataset.layout) for dataset in datasets_of(config)} == {
        (4, 'archives')
    }


def test_the_table_of_all_tuners_has_every_tuner():
    protocol = Config.fromfile(ROOT / 'configs' / 'protocols' / 'all_tuners.py')
    assert sorted(protocol.tuners) == sorted(TUNERS)
