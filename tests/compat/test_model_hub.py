"""mmpretrain's Python interface on our recipes: find by name, build, load a checkpoint, predict."""

import runpy
import sys
from pathlib import Path

import cv2
import mmpretrain
import numpy as np
import pytest
from mmengine import load
from mmpretrain.apis import ImageClassificationInferencer

from fvgpt.compat.model_hub import patch_model_hub
from fvgpt.datasets import QuickstartWorld
from fvgpt.inference.inferencer import FVGPTInferencer
from fvgpt.recipes import recipes

from ..conftest import ROOT, run_tool

RELEASE = ROOT / 'tests' / 'releases' / '0.1.0'
CHECKPOINT = str(RELEASE / 'coop_fvg.pth')
TOOLS = Path(mmpretrain.__file__).parent / '.mim' / 'tools'
SOURCES = ('fvgpt', 'tuner', 'zero_shot')
RECIPE = ROOT / 'configs' / 'fvgpt' / 'coop_fvg_quickstart.py'


@pytest.fixture(scope='module')
def image():
    return str(sorted(RELEASE.glob('*.png'))[0])


@pytest.fixture(scope='module')
def expected(image):
    """The predictions of our own inferencer for the checkpoint's classes."""
    return FVGPTInferencer(CHECKPOINT, device='cpu', branch='base')(image)[0]


def same(result, expected):
    assert result['pred_class'] == expected['pred_class']
    np.testing.assert_allclose(result['pred_scores'], expected['pred_scores'], atol=1e-5)


def test_every_recipe_is_listed_and_mmpretrains_own_are_too():
    patch_model_hub()  # a second time: nothing is registered twice
    names = mmpretrain.list_models()
    assert set(recipes()) <= set(names) and 'resnet50_8xb32_in1k' in names
    assert mmpretrain.list_models('*fvg*') == [name for name in recipes() if '_fvg_' in name]
    assert 'coop_dtd' in mmpretrain.list_models('coop', task='Image Classification')


@pytest.mark.parametrize('model', ['coop_fvg_quickstart', str(RECIPE)])
def test_a_recipe_and_a_checkpoint_are_a_model_that_knows_its_classes(model, image, expected):
    built = mmpretrain.get_model(model, pretrained=CHECKPOINT)
    assert len(built.class_names) == 20 and built.trained_class_names == tuple(built.class_names)
    same(ImageClassificationInferencer(built)(image)[0], expected)
    (prediction,) = ImageClassificationInferencer(built)(cv2.imread(image))
    same(prediction, expected)


def test_inference_model_takes_a_name_or_a_model(image, expected):
    same(mmpretrain.inference_model('coop_fvg_quickstart', image, pretrained=CHECKPOINT), expected)
    built = mmpretrain.get_model('coop_fvg_quickstart', pretrained=CHECKPOINT)
    same(mmpretrain.inference_model(built, image), expected)


@pytest.mark.parametrize('name', [name for name in recipes() if name.endswith('_quickstart')])
def test_every_tuner_is_built_without_a_run_of_its_own(name):
    model = mmpretrain.get_model(name)
    assert type(model).__name__ == model._config.model.type and not model.training


def test_the_index_is_read_when_it_is_asked_for():
    code = (
        'import fvgpt; from mmpretrain.apis.model import ModelHub; '
        'print(len(ModelHub._models_dict)); '
        'import mmpretrain; print(len(mmpretrain.list_models("coop_fvg")))'
    )
    done = run_tool('-c', code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ['0', str(len([n for n in recipes() if n[:8] == 'coop_fvg']))]


@pytest.mark.parametrize('tta', [[], ['--tta']])
def test_mmpretrains_test_command_takes_our_recipe_as_it_is(tta, tmp_path, monkeypatch):
    QuickstartWorld(str(tmp_path), lazy_init=True, train_per_class=1, test_per_class=1)
    small = [f'test_dataloader.dataset.{part}_per_class=1' for part in ('train', 'test')]
    options = [f'data_root={tmp_path}', f'work_dir={tmp_path / "work"}', *small]
    out = tmp_path / 'metrics.pkl'
    command = ['test.py', str(RECIPE), CHECKPOINT, '--out', str(out), '--out-item', 'metrics']
    monkeypatch.setattr(sys, 'argv', [*command, *tta, '--cfg-options', *options])
    monkeypatch.setenv('LOCAL_RANK', '0')  # the command sets it, and leaves it
    runpy.run_path(str(TOOLS / 'test.py'), run_name='__main__')
    metrics = load(out)
    assert {f'{source}/{part}' for source in SOURCES for part in ('base', 'new', 'h')} <= set(
        metrics
    )
