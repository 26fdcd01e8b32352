"""A tuner's text features as the classifier of mmpretrain's ResNet."""

import torch

from fvgpt.mixing import TextFeatureHead
from fvgpt.tuners import CoOp
from fvgpt.tuners.checkpoint import load_tuner


def test_network_and_projection_learn_and_the_text_features_stay(tuned, runner_of, quickstart_clip):
    runner = runner_of(
        'text_feature_head', {'model.head.checkpoint': str(tuned), 'train_dataloader.batch_size': 8}
    )
    head = runner.model.head
    assert isinstance(head, TextFeatureHead)
    tuner = CoOp(quickstart_clip, n_ctx=4)
    load_tuner(tuner, str(tuned))
    projection = head.projection.weight.clone()
    runner.train()
    classes = runner.train_dataloader.dataset.metainfo['classes']
    assert (
        head.trained_class_names == tuple(head.class_names) == tuple(classes) and len(classes) == 20
    )
    tuner.set_class_names(classes)
    torch.testing.assert_close(head.tuner.cached_text()['feature'], tuner.cached_text()['feature'])
    assert not torch.equal(head.projection.weight, projection)
    assert {key for key in runner.model.state_dict() if key.startswith('head.')} == {
        'head.tuner.ctx',
        'head.projection.weight',
        'head.projection.bias',
    }
    metrics = runner.test()
    assert 0 <= metrics['pred/base'] <= 100 and 0 <= metrics['pred/new'] <= 100
    assert (
        tuple(head.class_names)
        == runner.test_loop.dataloaders[1].dataset.metainfo['classes']
        != classes
    )
