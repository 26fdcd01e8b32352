"""OpenMMLab's EMA, gradient accumulation, TTA, visualizer and ConcatDataset with our models."""

from pathlib import Path

import torch
from mmpretrain.structures import DataSample

from fvgpt.engine.runner.recipe import load_recipe
from fvgpt.mixing import AverageScoresTTA
from fvgpt.tuners import CoOp
from fvgpt.tuners.classifier import unwrapped

from ..conftest import ROOT


def test_average_accumulation_and_augmented_tests(tuned, runner_of):
    runner = runner_of('ema_accumulate_tta', {'model.backbone_checkpoint': str(tuned)})
    runner.train()
    assert runner.optim_wrapper._accumulative_counts == 2
    hook = next(hook for hook in runner.hooks if type(hook).__name__ == 'EMAHook')
    live, averaged = runner.model.state_dict(), hook.ema_model.module.state_dict()
    assert live.keys() == averaged.keys()
    trained = [
        key
        for key in live
        if not key.startswith('tuner.') and not torch.equal(live[key], averaged[key])
    ]
    assert any('compensation' in key for key in trained) and any(
        'calibration' in key for key in trained
    )
    saved = torch.load(runner.work_dir + '/epoch_1.pth', weights_only=True)
    assert all(torch.equal(saved['state_dict'][key], averaged[key]) for key in averaged)
    metrics = runner.test()
    assert {'fvgpt/base', 'fvgpt/new', 'fvgpt/h', 'tuner/base', 'zero_shot/new'} <= set(metrics)
    assert isinstance(runner.model, AverageScoresTTA)
    after = unwrapped(runner.model).state_dict()
    assert all(torch.equal(after[key], live[key]) for key in live)


def test_every_score_is_the_mean_over_the_views(random_clip):
    views = []
    for own, other in (([0.6, 0.4], [1.0, 0.0]), ([0.2, 0.8], [0.0, 1.0])):
        sample = DataSample().set_gt_label(0).set_pred_score(torch.tensor(own)).set_pred_label(0)
        sample.set_field(torch.tensor(other), 'tuner_score', dtype=torch.Tensor)
        views.append(sample)
    (merged,) = AverageScoresTTA(CoOp(random_clip)).merge_preds([views])
    torch.testing.assert_close(merged.pred_score, torch.tensor([0.4, 0.6]))
    torch.testing.assert_close(merged.tuner_score, torch.tensor([0.5, 0.5]))
    assert merged.pred_label.item() == 1 and merged.gt_label.item() == 0


def test_pictures_carry_the_names_of_the_classes_they_are_of(tuned, runner_of, monkeypatch):
    runner = runner_of(
        'visualize_predictions',
        {'model.backbone_checkpoint': str(tuned), 'default_hooks.visualization.interval': 20},
    )
    seen = []
    draw = type(runner.visualizer).visualize_cls
    monkeypatch.setattr(
        type(runner.visualizer),
        'visualize_cls',
        lambda self, *args, **kwargs: (
            seen.append(self.dataset_meta['classes']),
            draw(self, *args, **kwargs),
        )[1],
    )
    runner.test()
    assert seen == [loader.dataset.metainfo['classes'] for loader in runner.test_loop.dataloaders]
    assert seen[0] != seen[1]
    assert list(Path(runner.work_dir).rglob('vis_image/test_0001.png*'))


def test_our_commands_leave_the_roots_of_joined_data_sets_alone(tmp_path):
    path = ROOT / 'configs' / 'mixing' / 'concat_datasets.py'
    config = load_recipe(
        str(path),
        {
            'data_root': str(tmp_path),
            'num_shots': 2,
            'train_dataloader.dataset.datasets.1.data_root': '/no',
        },
    )
    first, second = config.train_dataloader.dataset.datasets
    assert (first.num_shots, second.num_shots) == (8, 8)
    assert (first.data_root, second.data_root) == ('data/quickstart', '/no')
    assert config.test_dataloader.dataset.data_root == str(tmp_path)
