"""Training that diverges stops, and its earlier checkpoints stay valid."""

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner

BATCHES = 3


class Diverging(BaseModel):
    """In iteration ``at`` its loss, or its gradient, is ``value``."""

    def __init__(self, at, value, in_loss):
        super().__init__()
        self.weight, self.steps = torch.nn.Parameter(torch.ones(2)), 0
        self.at, self.value, self.in_loss = at, value, in_loss

    def forward(self, inputs, data_samples=None, mode='loss'):
        self.steps += 1
        now = self.steps == self.at
        if now and not self.in_loss:
            handle = self.weight.register_hook(
                lambda gradient: handle.remove() or torch.full_like(gradient, self.value)
            )
        loss_b = torch.tensor(self.value if now and self.in_loss else 0.5)
        return dict(loss_a=(self.weight**2).sum(), loss_b=loss_b, area=torch.tensor(0.1))


def train(tmp_path, model):
    data = [dict(inputs=torch.zeros(1), data_samples=0)] * BATCHES
    checkpoint = dict(type='CheckpointHook', interval=1, max_keep_ckpts=2)
    Runner(
        model,
        str(tmp_path / 'work'),
        dict(dataset=data, batch_size=1, sampler=dict(type='DefaultSampler', shuffle=False)),
        train_cfg=dict(by_epoch=True, max_epochs=3),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        default_hooks=dict(finite=dict(type='FiniteHook'), checkpoint=checkpoint),
        default_scope='mmpretrain',
        experiment_name=tmp_path.name,
    ).train()


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
@pytest.mark.parametrize('interval', [1, 10])
def test_a_loss_that_is_not_finite_ends_training_before_it_is_saved(
    tmp_path, monkeypatch, value, interval
):
    if interval > 1:  # as on a GPU, whose losses are read at intervals
        monkeypatch.setattr('fvgpt.engine.hooks.finite._READ_EACH_TIME', ())
    message = (
        r'loss_b is not finite in iteration 5 \(epoch 2\): training stops, earlier checkpoints '
        r'stay in .*work\. .*lower .*lr; it was 0\.01 here'
    )
    with pytest.raises(FloatingPointError, match=message):
        train(tmp_path, Diverging(5, value, in_loss=True))
    assert [file.name for file in (tmp_path / 'work').glob('*.pth')] == ['epoch_1.pth']
    # weights_only=False: the checkpoint also contains MMEngine's logs
    checkpoint = torch.load(tmp_path / 'work' / 'epoch_1.pth', weights_only=False)
    assert checkpoint['state_dict']['weight'].isfinite().all()


@pytest.mark.parametrize('epoch', [2, 3])
def test_parameters_that_are_not_finite_are_not_saved(tmp_path, epoch):
    at = epoch * BATCHES  # the last iteration of an epoch, whose losses are finite
    with pytest.raises(
        FloatingPointError, match=f'the parameter weight is not finite after iteration {at}'
    ):
        train(tmp_path, Diverging(at, float('nan'), in_loss=False))
    assert [file.name for file in (tmp_path / 'work').glob('*.pth')] == [f'epoch_{epoch - 1}.pth']


def test_finite_training_is_not_stopped(tmp_path):
    train(tmp_path, Diverging(0, 0.0, in_loss=True))
    assert (tmp_path / 'work' / 'epoch_3.pth').is_file()
