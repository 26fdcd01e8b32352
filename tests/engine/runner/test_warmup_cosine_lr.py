"""The schedule by its formula, and resumed in the middle."""

import math

import pytest
import torch

from fvgpt.engine.runner.warmup_cosine_lr import WarmupCosineLR


def rates(epochs, **kwargs):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.0035)
    schedule, seen = WarmupCosineLR(optimizer, end=epochs, **kwargs), []
    for _ in range(epochs):
        seen.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        schedule.step()
    return seen


def test_ten_epochs():
    expected = [1e-5] + [
        0.0035 * m for m in (1, 0.9755, 0.9045, 0.7939, 0.6545, 0.5, 0.3455, 0.2061, 0.0955)
    ]
    assert rates(10) == pytest.approx(expected, rel=1e-3)


def test_without_warm_up():
    assert rates(4, warmup_epochs=0) == pytest.approx(
        [0.0035 * (1 + math.cos(math.pi * e / 4)) / 2 for e in range(4)]
    )


def test_state_is_restored():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.0035)
    first = WarmupCosineLR(optimizer, end=10)
    for _ in range(4):
        optimizer.step()
        first.step()
    second = WarmupCosineLR(optimizer, end=10)
    second.load_state_dict(first.state_dict())
    optimizer.step()
    second.step()
    assert optimizer.param_groups[0]['lr'] == pytest.approx(rates(10)[5])
