"""A tuner's text features as the classifier of any network's projected features."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from fvgpt.engine.hooks.class_names import classes_part
from fvgpt.io.errors import UserError
from fvgpt.mixing import TextFeatureHead
from fvgpt.tuners import MMRL, CoOp

NAMES = ['red star', 'blue ring', 'green square']


@pytest.fixture(scope='module')
def head(quickstart_clip):
    torch.manual_seed(0)
    head = TextFeatureHead(8, CoOp(quickstart_clip))
    head.set_class_names(NAMES)
    return head


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 100))
def test_logits_are_scaled_cosines_to_the_texts_in_label_order(head, seed, length):
    feature = torch.randn(4, 8, generator=torch.Generator().manual_seed(seed)) * length
    logits = head((feature,))
    image = head.projection(feature)
    expected = [
        head.tuner.clip.logit_scale * F.cosine_similarity(image, text[None])
        for text in head.tuner.encode_text()['feature']
    ]
    torch.testing.assert_close(logits, torch.stack(expected, 1), atol=1e-3, rtol=1e-4)


def test_new_names_are_new_classes(head):
    feature = torch.randn(2, 8)
    head.set_class_names(NAMES)
    before = head((feature,))
    head.set_class_names(NAMES[::-1] + ['white cross'])
    after = head((feature,))
    assert after.shape == (2, 4)
    torch.testing.assert_close(after[:, :3], before.flip(1))
    head.set_class_names(NAMES)


def test_only_the_projection_learns(head):
    head.train()
    head.init_weights()
    head((torch.randn(2, 8),)).logsumexp(1).sum().backward()
    assert [key for key, parameter in head.named_parameters() if parameter.grad is not None] == [
        'projection.weight',
        'projection.bias',
    ]
    assert not head.tuner.training
    assert set(head.state_dict()) == {'tuner.ctx', 'projection.weight', 'projection.bias'}


def test_a_tuner_with_image_features_of_its_own_serves_too(random_clip):
    head = TextFeatureHead(8, MMRL(random_clip, layers=(1, 2), rep_dim=8))
    head.set_class_names(NAMES)
    assert head((torch.randn(2, 8),)).shape == (2, 3)


def test_a_missing_checkpoint_or_class_list_is_named(random_clip):
    with pytest.raises(ValueError, match='a trained CoOp: give its `checkpoint`'):
        TextFeatureHead(8, dict(type='CoOp', clip=random_clip))
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        TextFeatureHead(8, dict(type='CoOp', clip=random_clip), 'nowhere.pth')
    with pytest.raises(RuntimeError, match='ClassNamesHook'):
        TextFeatureHead(8, CoOp(random_clip))((torch.randn(2, 8),))


def test_the_hook_of_class_names_refuses_a_model_without_class_names():
    with pytest.raises(UserError, match='Linear is not one: take the hook out of custom_hooks'):
        classes_part(torch.nn.Linear(1, 1))
