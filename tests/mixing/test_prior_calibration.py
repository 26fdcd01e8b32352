"""Prior Calibration of a tuned classifier with mmpretrain's CLIP, of the same or other weights."""

import copy
from types import FunctionType

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.structures import DataSample

from fvgpt.mixing import PriorCalibratedClassifier
from fvgpt.mixing.mmpretrain_clip import load_open_clip
from fvgpt.registry import MODELS
from fvgpt.tuners import CoOp, ZeroShotCLIP

from ..conftest import ROOT

NAMES = ['striped red star', 'blue_ring', 'green square']
RECIPE = ROOT / 'configs' / 'mixing' / 'prior_calibration.py'
RESNET = dict(
    type='ImageClassifier',
    backbone=dict(type='ResNet', depth=18, base_channels=8, out_indices=(3,)),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=3, in_channels=64),
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
    ),
)


@pytest.fixture
def prior():
    """Config of mmpretrain's CLIPZeroShot with the sizes of the embedded CLIP."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield copy.deepcopy(Config.fromfile(RECIPE).model.prior)


def pair(quickstart_clip, prior, **more):
    options = dict(prior_checkpoint='openclip://quickstart', **more)
    model = PriorCalibratedClassifier(CoOp(quickstart_clip), prior, **options)
    return model.set_class_names(NAMES)


def test_only_the_gate_is_trained(tuned, runner_of):
    runner = runner_of('prior_calibration', {'model.tuned_checkpoint': str(tuned)})
    model = runner.model
    start = [copy.deepcopy(part.state_dict()) for part in (model, *model._frozen)]
    assert sum(parameter.numel() for parameter in model.parameters()) == 161
    runner.train()
    assert (
        runner.iter == 5
        and tuple(model.class_names) == runner.train_dataloader.dataset.metainfo['classes']
    )
    changed = [
        any(not torch.equal(value, before[key]) for key, value in part.state_dict().items())
        for part, before in zip((model, *model._frozen), start)
    ]
    assert changed == [True, False, False]
    assert 0 < runner.message_hub.get_scalar('train/trust_prior').current() < 1
    saved = torch.load(runner.work_dir + '/epoch_1.pth', weights_only=True)
    assert set(saved['state_dict']) == {
        f'calibration.gate.mlp.{i}.{kind}' for i in (0, 2) for kind in ('weight', 'bias')
    }
    assert 'tensor(' not in saved['meta']['cfg']
    metrics = runner.test()
    assert {
        f'{name}/{half}' for name in ('calibrated', 'tuned', 'prior') for half in ('base', 'new')
    } <= set(metrics)


def test_our_default_runtime_records_where_the_gate_comes_from(tuned, runner_of, tmp_path):
    """It has two classifiers and no CLIP of its own: its checkpoints name the model and classes."""
    runtime = Config.fromfile(ROOT / 'configs' / '_base_' / 'default_runtime.py').to_dict()
    options = {**runtime, 'model.tuned_checkpoint': str(tuned)}
    runner = runner_of('prior_calibration', options)
    runner.train()
    checkpoint = runner.work_dir + '/epoch_1.pth'
    content = torch.load(checkpoint, weights_only=True)
    recorded = content['meta']['fvgpt']
    assert recorded['model'] == 'PriorCalibratedClassifier' and recorded['processes'] == 1
    assert tuple(recorded['class_names']) == tuple(runner.model.class_names)
    assert recorded.get('clip_weights') is None
    loaded = runner_of('prior_calibration', {**options, 'load_from': checkpoint})
    loaded.load_or_resume()
    for key, value in runner.model.state_dict().items():
        torch.testing.assert_close(loaded.model.state_dict()[key], value)
    recorded.update(tuner='CoOp', clip='ViT-B-16')
    torch.save(content, tmp_path / 'coop.pth')
    other = runner_of('prior_calibration', {**options, 'load_from': str(tmp_path / 'coop.pth')})
    with pytest.raises(ValueError, match='trained with tuner CoOp, but this model has'):
        other.load_or_resume()


def test_mmpretrains_clip_with_our_weights_is_our_clip(quickstart_clip, prior):
    """Weights, tokens, epsilon, activation: any that is wrong changes the logits."""
    model = pair(quickstart_clip, prior)
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    zero_shot = ZeroShotCLIP(quickstart_clip, 'a photo of a {}').set_class_names(NAMES)
    ours = zero_shot(images, mode='tensor')
    z = model.logits_by_source(images)
    torch.testing.assert_close(z['prior'], ours, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(z['tuned'], model._frozen[0](images, mode='tensor'))
    model.set_class_names(NAMES[::-1])
    torch.testing.assert_close(model.logits_by_source(images)['prior'], z['prior'].flip(1))


def test_z_pc_lies_between_the_two(quickstart_clip, prior):
    model = pair(quickstart_clip, prior)
    z = model.logits_by_source(torch.randn(4, 3, 64, 64))
    b = model.calibration.gate(z['tuned'], z['prior'])[:, None]
    torch.testing.assert_close(z['calibrated'], (1 - b) * z['tuned'] + b * z['prior'])
    predicted = model(torch.randn(1, 3, 64, 64), [DataSample()], mode='predict')[0]
    assert predicted.pred_score.shape == predicted.prior_score.shape == (3,)


def test_the_prior_may_have_names_of_its_own(quickstart_clip, prior):
    model = pair(quickstart_clip, prior, prior_names={'blue_ring': 'anneau bleu'})
    assert model._frozen[1].prototype == ['striped red star', 'anneau bleu', 'green square']
    assert model._frozen[0].class_names == NAMES


@pytest.fixture
def chinese_clip(tmp_path):
    """ChineseCLIP with one layer per tower, random weights and few characters; its checkpoint."""
    if isinstance(MODELS.get('mmpretrain.ChineseCLIP'), FunctionType):
        pytest.skip(
            'mmpretrain has no ChineseCLIP without its multimodal extra and an older transformers'
        )
    (tmp_path / 'vocab.txt').write_text(
        '\n'.join(['[PAD]', '[UNK]', '[CLS]', '[SEP]', *'红星蓝环绿方']), encoding='utf-8'
    )
    config = dict(
        type='ChineseCLIP',
        proj_dim=16,
        text_prototype=['红星'],
        vision_backbone=dict(
            type='VisionTransformer',
            img_size=64,
            patch_size=16,
            out_type='cls_token',
            pre_norm=True,
            arch=dict(embed_dims=32, num_layers=1, num_heads=2, feedforward_channels=64),
        ),
        text_backbone=dict(
            type='BertModelCN',
            config=dict(
                vocab_size=10,
                pad_token_id=0,
                add_type_embeddings=True,
                attention_probs_dropout_prob=0.1,
                hidden_act='gelu',
                hidden_dropout_prob=0.1,
                hidden_size=32,
                initializer_range=0.02,
                intermediate_size=64,
                max_position_embeddings=64,
                num_attention_heads=2,
                num_hidden_layers=1,
                type_vocab_size=2,
                layer_norm_eps=1e-12,
            ),
        ),
        tokenizer=dict(type='FullTokenizer', vocab_file=str(tmp_path / 'vocab.txt')),
    )
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(copy.deepcopy(config)).eval()
        for projection in (model.vision_projection, model.text_projection):
            torch.nn.init.normal_(projection)
        torch.save(dict(state_dict=model.state_dict()), tmp_path / 'chinese.pth')
        yield model, config, str(tmp_path / 'chinese.pth')


def test_chinese_clip_is_a_prior_by_its_own_names(quickstart_clip, chinese_clip):
    theirs, config, checkpoint = chinese_clip
    names = dict(zip(NAMES, ['红星', '蓝环', '绿方']))
    model = PriorCalibratedClassifier(
        CoOp(quickstart_clip),
        config,
        prior_checkpoint=checkpoint,
        prior_names=names,
    ).set_class_names(NAMES)
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    z = model.logits_by_source(images)
    theirs.prototype = list(names.values())
    expected = torch.stack([sample.pred_score for sample in theirs(images)])
    torch.testing.assert_close(z['prior'].softmax(-1), expected, atol=1e-5, rtol=1e-5)
    assert z['prior'].std(1).min() > 1e-3  # three names are three texts
    samples = [DataSample().set_gt_label(number % 3) for number in range(4)]
    terms = model(images, samples, mode='loss')
    terms['loss_prior'].backward()
    assert (
        all(parameter.grad is not None for parameter in model.parameters())
        and 0 < terms['trust_prior'] < 1
    )


def test_a_network_with_another_normalisation_sees_its_own(quickstart_clip, prior):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        network = MODELS.build(RESNET).eval()
    images = torch.randint(0, 255, (2, 3, 32, 32), dtype=torch.uint8)
    expected = network(network.data_preprocessor(dict(inputs=images))['inputs'], mode='tensor')
    model = PriorCalibratedClassifier(network, ZeroShotCLIP(quickstart_clip)).set_class_names(NAMES)
    small = model.data_preprocessor(dict(inputs=images))['inputs']
    network_only = network(model._normalised_for(network, small), mode='tensor')
    torch.testing.assert_close(network_only, expected, atol=1e-4, rtol=1e-4)


def test_missing_weights_and_other_classes_are_named(quickstart_clip, prior, tmp_path):
    with pytest.raises(
        ValueError,
        match='prior CLIPZeroShot would be used with random weights: give prior_checkpoint',
    ):
        PriorCalibratedClassifier(CoOp(quickstart_clip), prior)
    with pytest.raises(
        ValueError, match='tuned CoOp would be used with random weights: give tuned_checkpoint'
    ):
        PriorCalibratedClassifier(
            dict(type='CoOp', clip=quickstart_clip), ZeroShotCLIP(quickstart_clip)
        )
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        pair(quickstart_clip, prior, tuned_checkpoint=str(tmp_path / 'nowhere.pth'))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        network = MODELS.build(RESNET)
    model = PriorCalibratedClassifier(network, ZeroShotCLIP(quickstart_clip)).set_class_names(
        NAMES[:2]
    )
    with pytest.raises(ValueError, match='the tuned classifier has 3 classes, the data set 2'):
        model(torch.randn(1, 3, 64, 64))
    with pytest.raises(ValueError, match='trained with GELU'):
        load_open_clip('openclip://ViT-B-32/random')
