"""A tuner's text features as the classifier of mmpretrain's ResNet."""
import pytest
import torch
import torch.nn.functional as F

from fvgpt.checkpoint import load_tuner
from fvgpt.registry import MODELS
from fvgpt.tuners import CoOp, TextFeatureHead


def test_network_and_projection_learn_and_the_text_features_stay(tuned, runner_of, quickstart_clip):
    runner = runner_of('text_feature_head', {'model.head.checkpoint': str(tuned), 'train_dataloader.batch_size': 8})
    head = runner.model.head
    assert isinstance(head, TextFeatureHead)
    tuner = CoOp(quickstart_clip, n_ctx=4)
    load_tuner(tuner, str(tuned))
    tuner.set_class_names(runner.train_dataloader.dataset.metainfo['classes'])
    expected = F.normalize(tuner.cached_text()['feature'], dim=-1)
    assert head.class_names == tuner.class_names and len(expected) == 20
    projection = head.projection.weight.clone()
    runner.train()
    torch.testing.assert_close(head.text_features, expected)
    assert not torch.equal(head.projection.weight, projection)
    assert not any('clip' in key or 'ctx' in key for key in runner.model.state_dict())
    assert 0 <= runner.test()['pred/base'] <= 100


def test_a_checkpoint_without_classes_is_refused(random_clip_folder, tmp_path):
    config = dict(type='CoOp', clip=dict(type='FrozenCLIP', name=f'local-dir:{random_clip_folder}', pretrained='random'))
    path = tmp_path / 'coop.pth'
    torch.save(dict(state_dict=MODELS.build(config).state_dict()), path)
    with pytest.raises(ValueError, match='does not record the classes'):
        TextFeatureHead(8, config, str(path))
