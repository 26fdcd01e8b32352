"""Foreground distillation for a plain classifier: its loss by the formula, and what it changes."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from mmpretrain.structures import DataSample

from fvgpt.mixing import ForegroundDistillationHead, ForegroundViewPreprocessor

B, D, C = 6, 8, 5


def samples_with(rows):
    """Data samples; their masks have ``rows[i]`` of 8 rows filled."""
    samples = [DataSample().set_gt_label(i % C) for i in range(len(rows))]
    for sample, filled in zip(samples, rows):
        mask = torch.zeros(8, 8, dtype=torch.uint8)
        mask[:filled] = 1
        sample.set_mask(mask)
    return samples


def head_and_features(seed):
    torch.manual_seed(seed)
    head = ForegroundDistillationHead(num_classes=C, in_channels=D)
    torch.nn.init.normal_(head.fc.weight)
    return head, torch.randn(2 * B, D, requires_grad=True)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.lists(st.integers(0, 8), min_size=B, max_size=B))
def test_the_three_terms_are_those_of_the_formula(seed, rows):
    head, features = head_and_features(seed)
    samples = samples_with(rows)
    terms = head.loss((features,), samples)
    with torch.no_grad():
        z_full, z_fg = head.fc(features[:B]), head.fc(features[B:])
        labels = torch.tensor([i % C for i in range(B)])
        r = head.reliability_gate(z_full, z_fg, torch.tensor(rows) / 8).r
        p_fg, p_full = (z_fg / 2).softmax(-1), (z_full / 2).softmax(-1)
        distilled = 10 * (r * (p_fg * (p_fg / p_full).log()).sum(-1)).mean()
    assert all((r[i] == 0) == (rows[i] in (0, 8)) for i in range(B))
    torch.testing.assert_close(terms['loss'], F.cross_entropy(z_full, labels))
    torch.testing.assert_close(terms['loss_distill'], distilled, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(terms['trust_foreground'], r.mean())


def test_the_foreground_view_is_only_a_target():
    head, features = head_and_features(0)
    terms = head.loss((features,), samples_with([3] * B))
    sum(value for key, value in terms.items() if 'loss' in key).backward()
    assert features.grad[:B].abs().min() > 0
    assert not features.grad[B:].any()
    assert all(
        p.grad is not None and p.grad.any() for p in head.reliability_gate.mlp[-1].parameters()
    )


def test_without_a_usable_mask_it_is_mmpretrains_head():
    head, features = head_and_features(1)
    terms = head.loss((features,), samples_with([8] * B))
    assert terms['loss_distill'] == terms['loss_gate'] == 0


def test_initialising_leaves_the_gate_as_the_method_starts_it():
    head, _ = head_and_features(2)
    before = {k: v.clone() for k, v in head.reliability_gate.state_dict().items()}
    head.init_weights()
    assert all(torch.equal(v, before[k]) for k, v in head.reliability_gate.state_dict().items())
    assert head.fc.weight.std() < 0.02 and not head.fc.bias.any()


def test_training_sees_both_views_of_the_normalised_image_and_tests_one():
    preprocessor = ForegroundViewPreprocessor(mean=[10.0, 20.0, 30.0], std=[2.0, 2.0, 2.0])
    images = [torch.randint(0, 255, (3, 8, 8), dtype=torch.uint8) for _ in range(2)]
    seen = preprocessor(dict(inputs=images, data_samples=samples_with([3, 8])), training=True)[
        'inputs'
    ]
    assert seen.shape == (4, 3, 8, 8)
    assert torch.equal(seen[2, :, :3], seen[0, :, :3]) and not seen[2, :, 3:].any()
    assert torch.equal(seen[3], seen[1])
    assert (
        len(
            preprocessor(dict(inputs=images, data_samples=samples_with([3, 8])), training=False)[
                'inputs'
            ]
        )
        == 2
    )


def test_a_wrong_head_or_preprocessor_is_named():
    head, features = head_and_features(3)
    with pytest.raises(ValueError, match='ForegroundViewPreprocessor'):
        head.loss((features[:B],), samples_with([3] * B))
    with pytest.raises(ValueError, match='batch_augments'):
        ForegroundViewPreprocessor(batch_augments=dict(augments=[dict(type='Mixup', alpha=0.8)]))
    with pytest.raises(ValueError, match='LoadForegroundMask'):
        ForegroundViewPreprocessor()(
            dict(inputs=[torch.zeros(3, 8, 8)], data_samples=[DataSample().set_gt_label(0)]), True
        )
