"""Foreground distillation trains mmpretrain's ResNet through MMEngine's Runner."""

import math

import torch


def test_a_supervised_backbone_trains_with_foreground_views(runner_of):
    runner = runner_of(
        'supervised_resnet18',
        {'train_dataloader.batch_size': 8, 'default_hooks.checkpoint.interval': -1},
    )
    start = {key: value.clone() for key, value in runner.model.state_dict().items()}
    runner.train()
    assert type(runner.model).__name__ == 'ImageClassifier' and runner.iter == 5
    scalars = runner.message_hub.log_scalars
    for term in ('loss', 'loss_gate', 'loss_distill', 'trust_foreground'):
        values = scalars[f'train/{term}'].data[0]
        assert len(values) == 5 and all(math.isfinite(value) for value in values)
    assert 0 < scalars['train/trust_foreground'].data[0].max() < 1
    changed = {
        key
        for key, value in runner.model.state_dict().items()
        if not torch.equal(value, start[key])
    }
    for part in ('backbone.conv1.weight', 'head.fc.weight', 'head.reliability_gate.mlp.2.weight'):
        assert part in changed
    assert 0 <= runner.test()['pred/all'] <= 100
