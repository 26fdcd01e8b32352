"""The example of the guide "Add a loss term or a gate input" works."""

import math
import re
import sys

import pytest
import torch

from fvgpt.engine.runner.recipe import load_recipe
from fvgpt.registry import LOSSES, MODELS
from fvgpt.tuners import CoOp

from ..conftest import ROOT
from .test_fvgpt import BASE, batch, group, same, train

BLOCKS = dict(
    re.findall(
        r'```python\n# (my/\w+\.py)\n(.*?)```',
        (ROOT / 'docs' / 'extend_fvgpt.md').read_text(encoding='utf-8'),
        re.S,
    )
)


@pytest.fixture
def guide(tmp_path, monkeypatch):
    """Folder with the files of the guide; what they register is removed after the test."""
    (tmp_path / 'my').mkdir()
    for path, text in BLOCKS.items():
        (tmp_path / path).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    LOSSES._module_dict.pop('ConfidencePenalty', None)
    for name in ('ConfidenceGate', 'ConfidentFVGPT'):
        MODELS._module_dict.pop(name, None)
    for name in [name for name in sys.modules if name.split('.')[0] == 'my']:
        del sys.modules[name]


def test_the_guides_recipe_has_the_new_gate_and_loss(guide):
    config = load_recipe('my/coop_confident_quickstart.py')
    assert config.model.type == 'ConfidentFVGPT' and config.model.tuner.type == 'CoOp'
    model = MODELS.build(config.model)
    assert model.reliability_gate.mlp[0].in_features == 4
    assert model.confidence_loss.loss_weight == 0.05


def test_the_guides_input_and_term_take_part_in_training(guide, random_clip):
    from my.confident_fvgpt import ConfidentFVGPT

    torch.manual_seed(0)
    tuner = CoOp(random_clip, n_ctx=2)
    model = ConfidentFVGPT(tuner, reliability_gate=dict(type='ConfidenceGate'))
    model.set_class_names(BASE)
    fourth = model.reliability_gate.mlp[0].weight[:, 3].detach().clone()
    frozen = group(model, 'tuner')
    history = train(model)
    assert not torch.equal(fourth, model.reliability_gate.mlp[0].weight[:, 3])
    assert same(frozen, group(model, 'tuner'))
    assert all(-0.1 * math.log(len(BASE)) <= terms['loss_confidence'] < 0 for terms in history)
    model.eval().set_class_names(['Yo_Yo', 'St. Bernard'], 'new')
    assert model(batch(0)[0]).shape == (4, 2)


def test_the_guides_gate_takes_some_of_its_inputs(guide):
    from my.confident_fvgpt import ConfidenceGate

    gate = ConfidenceGate(inputs=['entropy', 'confidence'])
    z = torch.tensor([[2.0, 0.0]])
    assert gate.statistics(z, z, torch.tensor([0.5]))[0, 3] == (z / 2).softmax(-1).max()
    assert gate(z, z, torch.tensor([0.5])).r.shape == (1,)
