"""Losses are finite, not negative and differentiable for all logits and number formats."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fvgpt.losses import (
    ForegroundDistillationLoss,
    PriorCalibrationLoss,
    ReliabilityLoss,
    tempered_kl,
)

from ..logits import DTYPES, SCALES, SHAPES, logits, one_hot


@settings(max_examples=60, deadline=None)
@given(SHAPES, SCALES, SCALES, st.integers(0, 99), DTYPES, st.sampled_from([1.0, 2.0, 5.0]))
def test_kl_is_never_negative_and_zero_for_equal_predictions(
    shape, scale, other, seed, dtype, temperature
):
    z, z2 = logits(shape, scale, seed, dtype), logits(shape, other, seed + 1, dtype)
    kl = tempered_kl(z, z2, temperature)
    precise = torch.float64 if dtype == torch.float64 else torch.float32
    rounding = 10 * torch.finfo(precise).eps * (1 + scale + other)
    assert kl.dtype == precise and torch.isfinite(kl).all() and (kl >= -rounding).all()
    shifted = z.to(precise) + 3  # softmax is invariant to a constant
    assert tempered_kl(z, shifted, temperature).abs().max() <= rounding
    assert torch.equal(tempered_kl(z, z2, temperature, tau_squared=True), kl * temperature**2)


@pytest.mark.parametrize('scale', [1.0, 50.0, 1e4])
@pytest.mark.parametrize('classes', [2, 3, 2000])
def test_kl_of_one_hot_and_uniform_predictions(classes, scale):
    certain, uniform = one_hot(classes, 0, scale), torch.zeros(1, classes, dtype=torch.float64)
    p = (certain / 2).softmax(-1)
    entropy = torch.special.entr(p).sum()
    ln_c = torch.tensor(classes, dtype=torch.float64).log()
    torch.testing.assert_close(tempered_kl(certain, uniform, 2.0)[0], ln_c - entropy)
    assert tempered_kl(uniform, uniform, 2.0).item() == 0
    # KL(p || q) of one-hot predictions of different classes: the distance of the logits, weighted
    # by the certainty of p.
    torch.testing.assert_close(
        tempered_kl(certain, one_hot(classes, 1, scale), 2.0)[0], (p[0, 0] - p[0, 1]) * scale / 2
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 2000), SCALES, st.integers(0, 99))
def test_kl_follows_from_its_definition(classes, scale, seed):
    z, z2 = (logits((2, classes), scale, seed + i, torch.float64) for i in range(2))
    p, log_p, log_q = (z / 2).softmax(-1), (z / 2).log_softmax(-1), (z2 / 2).log_softmax(-1)
    torch.testing.assert_close(
        tempered_kl(z, z2, 2.0), (p * (log_p - log_q)).sum(-1), rtol=1e-9, atol=1e-9
    )
    torch.testing.assert_close(
        tempered_kl(z.float(), z2.float(), 2.0).double(),
        tempered_kl(z, z2, 2.0),
        rtol=1e-3,
        atol=1e-4 * (1 + scale),
    )


@settings(max_examples=40, deadline=None)
@given(SHAPES, SCALES, st.integers(0, 99), DTYPES, st.sampled_from([-1e4, -1.0, 0.0, 1e4]))
def test_losses_and_their_gradients_are_finite(shape, scale, seed, dtype, logit):
    z_full, z_fg, z_clip = (logits(shape, scale, seed + i, dtype) for i in range(3))
    student = logits(shape, scale, seed + 3, dtype).requires_grad_()
    logit = torch.full(shape[:1], logit, dtype=dtype, requires_grad=True)
    labels = torch.arange(shape[0]) % shape[1]
    terms = [
        ForegroundDistillationLoss()(student, z_full, z_fg, logit.sigmoid()),
        PriorCalibrationLoss()(student, z_clip, labels),
        ReliabilityLoss()(logit, z_full, z_fg, labels, labels >= 0),
    ]
    for loss in terms:
        assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        assert torch.isfinite(loss) and loss >= -1e-4 * (1 + scale)
    sum(terms).backward()
    assert torch.isfinite(student.grad).all() and torch.isfinite(logit.grad).all()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_inputs_are_computed_in_float32(dtype):
    z_full, z_fg, z_clip, student = (logits((4, 50), 10.0, seed, dtype) for seed in range(4))
    labels, r = torch.tensor([0, 3, 9, 49]), torch.rand(4).to(dtype)
    valid = torch.ones(4, dtype=torch.bool)
    for loss, arguments in (
        (ForegroundDistillationLoss(), (student, z_full, z_fg, r)),
        (PriorCalibrationLoss(), (student, z_clip, labels)),
        (ReliabilityLoss(), (r, z_full, z_fg, labels, valid)),
    ):
        single = [x.float() if x.is_floating_point() else x for x in arguments]
        assert torch.equal(loss(*arguments), loss(*single))


@pytest.mark.parametrize('batch, classes', [(1, 1), (1, 4), (3, 1), (3, 4)])
@pytest.mark.parametrize('scale', [0.0, 1.0, 20.0])
def test_gradients_against_finite_differences(batch, classes, scale):
    z_full, z_fg, z_clip, student = (
        logits((batch, classes), scale, seed, torch.float64) for seed in range(4)
    )
    r, labels = torch.rand(batch, dtype=torch.float64), torch.arange(batch) % classes
    student.requires_grad_()
    for options in (dict(), dict(tau_squared=True), dict(temperature=1.0)):
        assert torch.autograd.gradcheck(
            ForegroundDistillationLoss(**options), (student, z_full, z_fg, r)
        )
        assert torch.autograd.gradcheck(PriorCalibrationLoss(**options), (student, z_clip, labels))
    assert torch.autograd.gradcheck(PriorCalibrationLoss(use_kl=False), (student, z_clip, labels))
    trust = torch.rand(batch, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        ForegroundDistillationLoss(detach_trust=False), (student, z_full, z_fg, trust)
    )
    logit = torch.randn(batch, dtype=torch.float64, requires_grad=True)
    valid = torch.arange(batch) != 1
    assert torch.autograd.gradcheck(ReliabilityLoss(), (logit, z_full, z_fg, labels, valid))


def test_without_usable_masks_the_gate_loss_is_zero():
    logit = torch.randn(3, requires_grad=True)
    loss = ReliabilityLoss()(
        logit, *torch.randn(2, 3, 4), torch.tensor([0, 1, 2]), torch.zeros(3, dtype=torch.bool)
    )
    loss.backward()
    assert loss.item() == 0 and not logit.grad.any()


def test_reliability_target_compares_the_views_with_the_margin():
    z_full = torch.tensor([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    z_fg = torch.tensor([[0.0, 2.0], [2.0, 0.0], [1.2, 1.0]])
    labels = torch.tensor([0, 0, 0])
    assert ReliabilityLoss().target(z_full, z_fg, labels).tolist() == [0, 1, 1]
    assert ReliabilityLoss(margin=0.5).target(z_full, z_fg, labels).tolist() == [0, 1, 0]
