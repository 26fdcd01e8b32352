"""One ranking of trained and new classes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fvgpt.foreground import FVGPT
from fvgpt.foreground.open_world import join_branches
from fvgpt.tuners import CoOp

from .test_fvgpt import BASE, NEW, batch, build, train


@given(
    st.integers(0, 2**31),
    st.integers(1, 9),
    st.sampled_from([1.0, 30.0, 1e4]),
    st.sampled_from(['all', 'none', 'some']),
)
def test_probabilities_add_up_and_keep_both_rankings(seed, classes, scale, known):
    generator = torch.Generator().manual_seed(seed)
    z_fdc, z_pc = scale * torch.randn(2, 5, classes, generator=generator, dtype=torch.float64)
    trained = torch.rand(classes, generator=generator) < dict(all=2, none=-1, some=0.5)[known]
    log_p = join_branches(z_fdc, z_pc, trained)
    p, p_pc = log_p.exp(), z_pc.softmax(-1)
    torch.testing.assert_close(p.sum(-1), torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(p[:, ~trained], p_pc[:, ~trained])
    torch.testing.assert_close(p[:, trained].sum(-1), p_pc[:, trained].sum(-1))
    if trained.any():
        within = log_p[:, trained] - log_p[:, trained].logsumexp(-1, keepdim=True)
        torch.testing.assert_close(within, z_fdc[:, trained].log_softmax(-1))
    if trained.all():
        torch.testing.assert_close(log_p, z_fdc.log_softmax(-1))


def test_the_classifier_joins_its_branches(random_clip):
    model = build(CoOp(random_clip, n_ctx=2))
    model.set_trained_classes(BASE)
    train(model, steps=2)
    model.eval()
    images, _ = batch(0)
    names = [NEW[0], *BASE, NEW[1]]
    model.set_class_names(names)
    z_fdc = model(images)
    model.set_class_names(names, 'new')
    z_pc = model(images)
    model.set_class_names(names, 'open')
    expected = join_branches(z_fdc, z_pc, torch.tensor([False, True, True, True, False]))
    torch.testing.assert_close(model(images), expected)
    sample = model(images, mode='predict')[0]
    torch.testing.assert_close(sample.pred_score, expected[0].exp())
    assert {'fvgpt_score', 'tuner_score', 'zero_shot_score'} <= set(sample.keys())


@pytest.mark.parametrize('off', ['compensation', 'calibration'])
def test_with_one_branch_switched_off_the_tuner_or_fdc_stands_in(random_clip, off):
    torch.manual_seed(0)
    model = FVGPT(CoOp(random_clip, n_ctx=2), **{off: None}).eval()
    model.set_trained_classes(BASE)
    images, _ = batch(0)
    by_branch = {}
    for branch in ('base', 'new', 'open'):
        model.set_class_names([*BASE, *NEW], branch)
        by_branch[branch] = model(images)
    trained = torch.tensor([True] * len(BASE) + [False] * len(NEW))
    torch.testing.assert_close(
        by_branch['open'], join_branches(by_branch['base'], by_branch['new'], trained)
    )


def test_the_open_world_needs_the_trained_classes(random_clip):
    model = FVGPT(CoOp(random_clip, n_ctx=2))
    model.set_class_names(BASE, 'open')
    with pytest.raises(
        RuntimeError, match='does not know which classes it was trained on: load a checkpoint'
    ):
        model(batch(0)[0])


def test_classes_of_the_same_name_are_matched_in_order(random_clip):
    model = CoOp(random_clip, n_ctx=2).set_class_names(['crane', 'dog', 'crane', 'crane'])
    model.set_trained_classes(['crane', 'cat', 'crane'])
    assert model.trained_columns().tolist() == [0, -1, 2, -1]
