"""Recipes on precomputed features, from the command line to results.json, without any tower."""

import copy
import json
import re
import runpy

import pytest
import torch
from mmengine.config import Config
from safetensors.torch import load_file

from fvgpt import UserError
from fvgpt.clip import FrozenCLIP, PrecomputedCLIP
from fvgpt.clip.precomputed_clip import WITHOUT_TOWERS
from fvgpt.engine.runner.recipe import load_recipe, run_recipe
from fvgpt.foreground import FVGPT
from fvgpt.protocols.plan import load_protocol, plan
from fvgpt.recipes import TUNERS
from fvgpt.registry import MODELS
from fvgpt.tuners import CoOp, KgCoOp, MaPLe
from fvgpt.tuners.checkpoint import read_checkpoint

from ..conftest import ROOT, run_tool
from ..datasets.feature_files import BASE, NEW, PER_CLASS, tensors, write

RECIPES = ROOT / 'configs' / 'fvgpt'
ON_FEATURES = [name for name, row in TUNERS.items() if 'features' in row.data_sets]
SIZES = dict(taskres=dict(num_classes=3), tip_adapter=dict(cache_size=12))
SIZES['tip_adapter_f'] = SIZES['tip_adapter']
TESTS = [dict(subset='base'), dict(subset='new'), dict(subset='base', view='exchanged')]


@pytest.fixture(scope='module')
def file(tmp_path_factory):
    return write(tmp_path_factory.mktemp('features') / 'some.safetensors')


@pytest.fixture
def no_towers(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError('a CLIP was loaded')

    monkeypatch.setattr(FrozenCLIP, '__init__', refuse)


def options(file, tuner, **more):
    sizes = {f'model.tuner.{key}': value for key, value in SIZES.get(tuner, {}).items()}
    return {'feature_file': str(file), 'train_cfg.max_epochs': 1, **sizes, **more}


@pytest.mark.parametrize('tuner', ON_FEATURES)
def test_both_stages_of_every_tuner_run_on_a_file_alone(tuner, file, tmp_path, no_towers):
    recipe = str(RECIPES / f'{tuner}_fvg_features.py')
    chosen = options(file, tuner, **{'test_cfg.tests': TESTS})
    results = run_recipe(recipe, str(tmp_path), chosen)
    assert set(results) == {'zero_shot', 'tuner', 'fvgpt'}
    assert all(set(row) == {'base', 'new', 'base_exchanged', 'h'} for row in results.values())
    # zero-shot CLIP by its formula
    stored = {name: x.double() for name, x in tensors().items()}
    for half, names in dict(base=BASE, new=NEW).items():
        shown = stored['test_is_new'] == (half == 'new')
        cosine = torch.cosine_similarity(
            stored['test_full'][shown][:, None], stored[f'text_{half}'][None], dim=-1
        )
        right = cosine.argmax(1) == stored['test_labels'][shown]
        assert results['zero_shot'][half] == pytest.approx(
            100 * float(right.double().mean()), abs=1e-3
        )
        assert cosine.shape[1] == len(names)
    checkpoint = read_checkpoint(str(tmp_path / 'epoch_1.pth'))
    provenance = checkpoint['meta']['fvgpt']
    clip = PrecomputedCLIP(str(file))
    assert provenance['clip_weights'] == clip.weight_hash
    assert not any(key.split('.')[-1] == 'text' for key in checkpoint['state_dict'])


def test_a_checkpoint_is_refused_with_other_features(file, tmp_path):
    tuner = MODELS.build(dict(type='LinearText', clip=PrecomputedCLIP(str(file))))
    run_recipe(
        str(RECIPES / 'linear_text_features.py'), str(tmp_path), options(file, ''), test=False
    )
    FVGPT(tuner, backbone_checkpoint=str(tmp_path / 'epoch_1.pth'))
    changed = dict(train_full=tensors()['train_full'] + 1)
    other = PrecomputedCLIP(str(write(tmp_path / 'other.safetensors', changed)))
    with pytest.raises(UserError, match='was trained with CLIP weights'):
        FVGPT(
            MODELS.build(dict(type='LinearText', clip=other)),
            backbone_checkpoint=str(tmp_path / 'epoch_1.pth'),
        )


@pytest.mark.parametrize('kind', [CoOp, KgCoOp, MaPLe])
def test_a_tuner_that_needs_a_tower_says_which_ones_do_not(kind, file):
    with pytest.raises(UserError, match='tuners that work on features are .*LinearText') as error:
        kind(PrecomputedCLIP(str(file))).set_class_names(BASE)
    assert 'some.safetensors' in str(error.value) and '\n' not in str(error.value)


def test_the_tuners_without_towers_are_those_with_recipes():
    kinds = {Config.fromfile(RECIPES / f'{name}_features.py').model.type for name in ON_FEATURES}
    assert kinds | {'ZeroShotCLIP'} == set(WITHOUT_TOWERS)


def test_a_tuner_on_features_can_be_copied(file):
    tuner = MODELS.build(dict(type='LinearText', clip=PrecomputedCLIP(str(file))))
    twin = copy.deepcopy(tuner.set_class_names(BASE))
    assert torch.equal(twin.clip.text, tuner.clip.text)
    assert twin.clip.weight_hash == tuner.clip.weight_hash


def test_unknown_classes_and_other_templates_are_refused(file):
    clip = PrecomputedCLIP(str(file))
    with pytest.raises(UserError, match="no text feature of the class 'buss'; did you mean bus"):
        MODELS.build(dict(type='LinearText', clip=clip)).set_class_names(['buss'])
    with pytest.raises(UserError, match="so '{} texture.' cannot be used"):
        MODELS.build(dict(type='LinearText', clip=clip, template='{} texture.')).set_class_names(
            BASE
        )


def test_keys_at_the_top_reach_data_sets_and_the_clip(file):
    chosen = {
        'feature_keys.train_foreground': 'train_exchanged',
        'feature_keys.text_base': 'text_new',
        'feature_scale.text': 2.0,
    }
    config = load_recipe(
        str(RECIPES / 'linear_text_fvg_features.py'), dict(feature_file=str(file), **chosen)
    )
    keys = dict(train_foreground='train_exchanged', text_base='text_new')
    for dataset in (config.train_dataloader.dataset, config.test_dataloader.dataset):
        assert (dataset.feature_file, dataset['keys']) == (str(file), keys)
    for clip in (config.clip, config.model.tuner.clip):
        assert clip == dict(
            type='PrecomputedCLIP',
            feature_file=str(file),
            keys=dict(text_base='text_new'),
            scale=dict(text=2.0),
        )


@pytest.mark.parametrize('name', ['features_controls', 'decisions_features'])
def test_rows_of_a_protocol_share_one_tuner_and_differ_in_training_only(name, file, tmp_path):
    protocol = load_protocol(str(ROOT / 'configs' / 'protocols' / f'{name}.py'))
    runs = plan(protocol, [1], tmp_path, options=dict(feature_file=str(file)))
    tuner, rows = runs[0], [run for run in runs if run.labels]
    assert tuner.labels is None and all(run.needs[0] is tuner for run in rows)
    assert len(rows) == len(protocol.variants) == len({str(run.config) for run in rows})
    assert len({str(run.config.test_cfg) for run in rows}) == 1


def test_a_missing_file_is_one_line(tmp_path):
    done = run_tool(
        'tools/train.py',
        'configs/fvgpt/linear_text_fvg_features.py',
        '--work-dir',
        tmp_path / 'w',
        '--cfg-options',
        'feature_file=nowhere.safetensors',
    )
    assert done.returncode == 1
    assert 'error: nowhere.safetensors does not exist: feature_file must be' in done.stderr


def test_the_example_of_the_guide_writes_a_file(tmp_path, monkeypatch):
    guide = (ROOT / 'docs' / 'features.md').read_text(encoding='utf-8')
    (code,) = re.findall(r'```python\n(.*?)```', guide, re.S)
    script = tmp_path / 'write.py'
    script.write_text(code)
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script), init_globals=tensors())
    assert set(load_file('features.safetensors')) < set(tensors())
    chosen = options('features.safetensors', 'linear_text')
    run_recipe(str(RECIPES / 'linear_text_fvg_features.py'), 'work', chosen)
    assert json.loads((tmp_path / 'work' / 'results.json').read_text())['fvgpt']
    for tensor in re.findall(r'^\| (`.*?) \| \(', guide, re.M):
        for name in re.findall(r'`(\w+)`', tensor):
            assert name.removesuffix('_rows') in {*tensors(), 'test_foreground', 'test_blurred'}
    assert len(tensors()['train_labels']) == len(BASE) * PER_CLASS


def test_real_features_give_the_known_zero_shot_accuracies(real_features, tmp_path, no_towers):
    """Measured by whoever made the file: base 56.0, new 87.4, exchanged backgrounds 56.0."""
    names = Config.fromfile(ROOT / 'configs' / '_base_' / 'feature_names' / 'coco_objects.py')
    chosen = dict(options(real_features, 'linear_text'), **names.options.to_dict())
    chosen['test_cfg.tests'] = TESTS
    recipe = str(RECIPES / 'linear_text_fvg_features.py')
    zero_shot = run_recipe(recipe, str(tmp_path), chosen)['zero_shot']
    assert [round(zero_shot[key], 1) for key in ('base', 'new', 'base_exchanged')] == [
        56.0,
        87.4,
        56.0,
    ]
