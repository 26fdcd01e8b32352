"""Losses that are read when they are logged give the same histories and logs as MMEngine's hook."""

import json

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.runner import Runner

from fvgpt.engine.hooks.loss_history import extend_history


class Line(BaseModel):
    """Linear regression that logs two terms; the second not in every iteration."""

    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(1, 1)
        self.steps = 0

    def forward(self, inputs, mode):
        self.steps += 1
        inputs = torch.stack(inputs)
        error = (self.line(inputs) - 3 * inputs).square().mean()
        return dict(
            loss_fit=error,
            **({} if self.steps % 3 else dict(size=self.line.weight.detach().abs().mean())),
        )


def train(folder, hook, log_interval=4):
    torch.manual_seed(0)
    images = [dict(inputs=torch.rand(1)) for _ in range(22)]
    runner = Runner(
        Line(),
        str(folder),
        dict(
            dataset=images,
            batch_size=2,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=True),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(
            runtime_info=dict(type=hook), logger=dict(type='LoggerHook', interval=log_interval)
        ),
        experiment_name=str(folder).replace('/', '_'),
        randomness=dict(seed=3),
    )
    runner.train()
    (log,) = folder.rglob('scalars.json')
    saved = torch.load(folder / 'epoch_2.pth', weights_only=False)['message_hub']['log_scalars']
    return (
        untimed(runner.message_hub.log_scalars),
        [untimed(json.loads(line)) for line in log.read_text().splitlines()],
        untimed(saved),
    )


def untimed(values):
    return {key: value for key, value in values.items() if not key.endswith('time')}


@pytest.mark.parametrize('log_interval', [1, 4, 50])
def test_histories_logs_and_checkpoints_are_those_of_mmengine(tmp_path, log_interval):
    expected = train(tmp_path / 'mmengine', 'RuntimeInfoHook', log_interval)
    found = train(tmp_path / 'ours', 'LossHistoryHook', log_interval)
    assert found[1] == expected[1] and len(found[1]) >= 2
    for ours, theirs in ((found[0], expected[0]), (found[2], expected[2])):
        assert (
            ours.keys()
            == theirs.keys()
            >= {'train/loss', 'train/loss_fit', 'train/size', 'train/lr'}
        )
        for key in theirs:
            assert all(
                np.array_equal(a, b) and a.dtype == b.dtype
                for a, b in zip(ours[key].data, theirs[key].data)
            ), key


def test_nothing_is_read_from_the_device_between_logs(tmp_path, monkeypatch):
    fetched = []
    for name in ('item', 'tolist', '__float__'):
        monkeypatch.setattr(
            torch.Tensor,
            name,
            lambda self, name=name, method=getattr(torch.Tensor, name): (
                fetched.append(name) or method(self)
            ),
        )

    def fetches(hook, log_interval):
        fetched.clear()
        train(tmp_path / f'{hook}{log_interval}', hook, log_interval)
        return len(fetched)

    # Three values per log, two epochs; one log per epoch, or three (4, 4 and 3 iterations)
    once = fetches('LossHistoryHook', 50)
    assert fetches('LossHistoryHook', 4) == once + 3 * 2 * 2
    assert fetches('RuntimeInfoHook', 50) > once + 20


def test_an_empty_history_is_extended():
    hub = MessageHub('empty')
    extend_history(hub, 'train/loss', [1.0, 2.5])
    extend_history(hub, 'train/loss', [4.0])
    assert hub.get_scalar('train/loss').data[0].tolist() == [1, 2.5, 4]
    assert hub.get_scalar('train/loss').mean(2) == 3.25
