"""The learning rate of every epoch equals Dassl's scheduler."""

import re

import numpy as np
import pytest
import torch

from fvgpt.engine.runner.warmup_cosine_lr import WarmupCosineLR


@pytest.mark.parametrize('warmup', ['warmup0_constant', 'warmup1_constant'])
def test_every_epoch(parity, warmup):
    with np.load(parity / 'common' / 'lr_schedule.npz') as file:
        runs = {key: file[key] for key in file if f'{warmup}_recount1' in key}
    assert runs
    for key, expected in runs.items():
        epochs, rate, warm = re.match(r'E(\d+)_lr([\d.]+)_warmup(\d)', key).groups()
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=float(rate))
        schedule = WarmupCosineLR(optimizer, warmup_epochs=int(warm), end=int(epochs))
        rates = []
        for _ in range(int(epochs)):
            rates.append(optimizer.param_groups[0]['lr'])
            optimizer.step()
            schedule.step()
        np.testing.assert_allclose(rates, expected[:-1], rtol=1e-9)
