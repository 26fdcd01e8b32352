"""Gaussian prompt aggregation: weights of the public settings, and the hook."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from fvgpt.tuners.promptsrc import GaussianPromptAggregationHook, gaussian_weights

from ..parity.golden import load_run


@pytest.mark.parametrize(
    'epochs, mean, std, expected',
    [
        (20, 15, 1, {15: 0.399}),
        (10, 15, 1, {10: 0.9959, 9: 0.0041}),
        (50, 30, 30, {30: 0.0225}),
        (50, 45, 5, {45: 0.092}),
    ],
)
def test_weights_of_the_public_settings(epochs, mean, std, expected):
    weights = gaussian_weights(epochs, mean, std)
    assert sum(weights) == pytest.approx(1)
    for epoch, value in expected.items():
        assert weights[epoch - 1] == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize('run', ['promptsrc_gpa_E10', 'promptsrc_gpa_E20'])
def test_weights_and_sum_equal_the_original(parity, run):
    arrays, settings = load_run(parity / 'methods' / f'{run}.safetensors')
    np.testing.assert_allclose(
        gaussian_weights(settings['epochs'], 15, 1), arrays['gpa.weights'], rtol=1e-9, atol=1e-15
    )
    name = 'prompt_learner.ctx'
    values = (
        [arrays[f'epoch_params.{e}.{name}'] for e in range(1, settings['epochs'] + 1)]
        if (f'epoch_params.1.{name}' in arrays)
        else [arrays[f'epoch_params.{e}.{name}'] for e in range(settings['epochs'])]
    )
    mean = train(values)[0]
    torch.testing.assert_close(mean, arrays[f'final.{name}'], atol=1e-6, rtol=0)


def train(values, resume_at=None):
    """The final parameter, if training sets it to the given values, one per epoch."""
    model = nn.Module()
    model.ctx = nn.Parameter(torch.zeros_like(values[0]))
    hook, runner = (
        GaussianPromptAggregationHook(15, 1),
        SimpleNamespace(model=model, max_epochs=len(values), _resume=True),
    )
    for runner.epoch, value in enumerate(values):
        if runner.epoch == resume_at:
            checkpoint = {}
            hook.before_save_checkpoint(runner, checkpoint)
            hook = GaussianPromptAggregationHook(15, 1)
            hook.after_load_checkpoint(runner, checkpoint)
        model.ctx.data.copy_(value)
        hook.after_train_epoch(runner)
    return model.ctx.data, hook


def test_resumed_runs_end_with_the_same_mean():
    values = [torch.randn(3, generator=torch.Generator().manual_seed(i)) for i in range(18)]
    straight, resumed = train(values)[0], train(values, resume_at=14)[0]
    assert torch.equal(straight, resumed)
    expected = sum(w * v.double() for w, v in zip(gaussian_weights(18, 15, 1), values))
    torch.testing.assert_close(straight, expected.float())
