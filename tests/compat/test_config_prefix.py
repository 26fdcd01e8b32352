"""Recipes can be bases of any config by the prefix ``fvgpt::``, like OpenMMLab's own."""

import shutil
import zipfile
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import DefaultScope

from fvgpt.engine.runner.recipe import load_recipe
from fvgpt.engine.runner.stage_one import tuner_config
from fvgpt.foreground import FVGPT
from fvgpt.registry import MODELS, TRANSFORMS

from ..conftest import ROOT, run_tool

RECIPES = ROOT / 'configs' / 'fvgpt'


def foreign(folder: Path, base: str, more: str = '') -> Path:
    path = folder / 'foreign.py'
    path.write_text(f'_base_ = {base}\n{more}')
    return path


def test_a_config_anywhere_inherits_our_recipe(tmp_path):
    path = foreign(
        tmp_path, "'fvgpt::fvgpt/coop_fvg_quickstart.py'", 'train_cfg = dict(max_epochs=2)\n'
    )
    config, own = Config.fromfile(path), Config.fromfile(RECIPES / 'coop_fvg_quickstart.py')
    assert config.model == dict(own.model, _scope_='fvgpt')
    assert config.train_dataloader.dataset.pipeline == own.train_dataloader.dataset.pipeline
    assert (config.train_cfg.max_epochs, own.train_cfg.max_epochs) == (2, 10)


def test_our_model_and_mmpretrains_runtime_in_one_config(tmp_path):
    path = foreign(
        tmp_path, "['fvgpt::_base_/models/coop.py', 'mmpretrain::_base_/default_runtime.py']"
    )
    config = Config.fromfile(path)
    assert config.model.type == 'CoOp' and config.default_scope == 'mmpretrain'


@pytest.mark.parametrize('default_scope', ['mmpretrain', 'mmdet', 'mmengine'])
def test_what_a_config_takes_out_of_a_base_builds_in_any_scope(tmp_path, default_scope):
    path = foreign(
        tmp_path,
        "'fvgpt::fvgpt/coop_quickstart.py'",
        "model = dict(_delete_=True, type='FVGPT', tuner=_base_.model)\n"
        'pipeline = _base_.crop_pipeline\n',
    )
    config = Config.fromfile(path)
    with DefaultScope.overwrite_default_scope(default_scope):
        assert isinstance(MODELS.build(config.model), FVGPT)
        assert all(TRANSFORMS.build(step) for step in config.pipeline)
        assert TRANSFORMS.build(dict(type='PackInputs', _scope_='fvgpt'))  # mmpretrain's


def test_a_tool_that_does_not_import_fvgpt_reads_the_base(tmp_path):
    path = foreign(tmp_path, "__import__('fvgpt') and 'fvgpt::fvgpt/coop_fvg_quickstart.py'")
    done = run_tool(
        '-c',
        'import sys; from mmengine import Config, MODELS; assert "fvgpt" not in sys.modules; '
        f'print(type(MODELS.build(Config.fromfile({str(path)!r}).model)).__name__)',
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == 'FVGPT'
    assert 'not installed' not in done.stderr and 'Failed to search registry' not in done.stderr


def test_stage_one_is_found_from_a_recipe_elsewhere(tmp_path):
    """A recipe that inherits by the prefix runs the tuner's recipe of the package, not one in its
    own folder."""
    config = load_recipe(foreign(tmp_path, "'fvgpt::fvgpt/coop_fvg_quickstart.py'"))
    config.work_dir = str(tmp_path / 'work')
    tuner = tuner_config(config)
    assert Path(tuner.filename).resolve() == RECIPES / 'coop_quickstart.py'
    assert tuner.work_dir == str(tmp_path / 'work' / 'tuner')


def test_the_metafile_lists_every_recipe_and_mmengines_hub_finds_them():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    models = [
        model
        for part in index['Import']
        for model in yaml.safe_load((ROOT / part).read_text())['Models']
    ]
    assert sorted(model['Config'] for model in models) == sorted(
        f'configs/fvgpt/{path.name}' for path in RECIPES.glob('*.py')
    )
    results = [result for model in models for result in model['Results']]
    assert not any(result['Metrics'] for result in results), 'none were published'
    assert not any(model.get('Weights') for model in models)
    assert get_config('fvgpt::fvgpt/kgcoop_fvg_dtd.py').model.tuner.type == 'KgCoOp'


def test_a_wheel_of_the_sdist_has_configs_and_tools(tmp_path):
    source = tmp_path / 'source'
    shutil.copytree(
        ROOT / 'projects',
        source / 'projects',
        symlinks=True,
        ignore=shutil.ignore_patterns('__pycache__'),
    )
    for name in ('configs', 'requirements', 'tools'):
        shutil.copytree(ROOT / name, source / name)
    for name in ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'README.md', 'model-index.yml'):
        shutil.copy(ROOT / name, source)
    done = run_tool('setup.py', '-q', 'sdist', '-d', tmp_path, cwd=source)
    assert done.returncode == 0, done.stderr
    sdist = next(tmp_path.glob('*.tar.gz'))
    done = run_tool(
        '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', tmp_path, sdist
    )
    assert done.returncode == 0, done.stderr
    wheel = zipfile.ZipFile(next(tmp_path.glob('*.whl')))
    packed = {name for name in wheel.namelist() if name.startswith('fvgpt/.mim/')}
    configs = {
        str(path.relative_to(ROOT))
        for path in (ROOT / 'configs').rglob('*.*')
        if path.suffix in ('.py', '.yml')
    }
    tools = {
        f'tools/{path.name}'
        for path in (ROOT / 'tools').iterdir()
        if path.suffix in ('.py', '.sh', '.bash')
    }
    assert packed == {f'fvgpt/.mim/{name}' for name in {'model-index.yml', *configs, *tools}}
    wheel.extractall(tmp_path / 'site')
    path = foreign(tmp_path, "__import__('fvgpt') and 'fvgpt::fvgpt/coop_fvg_quickstart.py'")
    code = f'from mmengine.config import Config; print(Config.fromfile({str(path)!r}).tuner_recipe)'
    done = run_tool('-c', code, cwd=tmp_path, env=dict(PYTHONPATH=str(tmp_path / 'site')))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / 'site/fvgpt/.mim/configs/fvgpt/coop_quickstart.py')
