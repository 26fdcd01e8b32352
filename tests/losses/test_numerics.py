"""Every formula stays finite and inside its bounds, whatever the logits."""
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fvgpt.foreground import BackboneReliabilityGate, ForegroundReliabilityGate, PriorCalibration
from fvgpt.foreground.reliability_gate import entropy
from fvgpt.losses import ForegroundDistillationLoss, PriorCalibrationLoss, ReliabilityLoss, tempered_kl

SHAPES = st.tuples(st.integers(1, 5), st.sampled_from([1, 2, 3, 10, 1000]))
SCALES = st.sampled_from([0., 1e-3, 1., 100., 1e4])
DTYPES = st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16])


def logits(shape, scale, seed, dtype=torch.float32):
    return (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale).clamp(-6e4, 6e4).to(dtype)


@settings(max_examples=60, deadline=None)
@given(SHAPES, SCALES, SCALES, st.integers(0, 99), DTYPES)
def test_gates_lie_between_zero_and_one(shape, scale, other, seed, dtype):
    z, z2 = logits(shape, scale, seed, dtype), logits(shape, other, seed + 1, dtype)
    torch.manual_seed(0)
    trust = ForegroundReliabilityGate()(z, z2, torch.rand(shape[0]))
    b = BackboneReliabilityGate()(z, z2)
    for value in (trust.logit.sigmoid(), b):
        assert value.dtype == torch.float32
        assert ((value > 0) & (value < 1)).all()
    assert ((trust.r == 0) | trust.valid).all()


@settings(max_examples=60, deadline=None)
@given(SHAPES, SCALES, SCALES, st.integers(0, 99))
def test_kl_is_never_negative_and_zero_for_equal_logits(shape, scale, other, seed):
    z, z2 = logits(shape, scale, seed), logits(shape, other, seed + 1)
    kl = tempered_kl(z, z2, 2.)
    assert torch.isfinite(kl).all() and (kl >= -1e-5 * (1 + scale + other)).all()
    assert tempered_kl(z, z + 3, 2.).abs().max() < 1e-3 * (1 + scale)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 2000))
def test_entropy_between_zero_and_ln_c(classes):
    one_hot = torch.zeros(1, classes)
    one_hot[0, 0] = 1
    assert entropy(one_hot).item() == 0
    assert entropy(torch.full((1, classes), 1 / classes)).item() == pytest.approx(
        torch.log(torch.tensor(float(classes))).item(), rel=1e-4)


@settings(max_examples=40, deadline=None)
@given(SHAPES, SCALES, st.integers(0, 99), DTYPES)
def test_losses_and_their_gradients_are_finite(shape, scale, seed, dtype):
    z_full, z_fg, z_clip = (logits(shape, scale, seed + i, dtype) for i in range(3))
    student = logits(shape, scale, seed + 3).requires_grad_()
    labels = torch.zeros(shape[0], dtype=torch.long)
    torch.manual_seed(0)
    trust = ForegroundReliabilityGate()(z_full, z_fg, torch.rand(shape[0]))
    z_pc, b = PriorCalibration()(student, z_clip)
    total = (ForegroundDistillationLoss()(student, z_full, z_fg, trust.r) + PriorCalibrationLoss()(z_pc, z_clip, labels) +
             ReliabilityLoss()(trust.logit, z_full, z_fg, labels, trust.valid))
    total.backward()
    assert torch.isfinite(total) and torch.isfinite(student.grad).all() and torch.isfinite(b).all()


def test_gradients_against_finite_differences():
    torch.manual_seed(0)
    z_full, z_fg, z_clip, student = (torch.randn(3, 4, dtype=torch.float64) for _ in range(4))
    r, labels = torch.rand(3, dtype=torch.float64), torch.tensor([0, 3, 1])
    student.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: ForegroundDistillationLoss()(z, z_full, z_fg, r), student)
    assert torch.autograd.gradcheck(lambda z: PriorCalibrationLoss()(z, z_clip, labels), student)
    logit = torch.randn(3, dtype=torch.float64, requires_grad=True)
    valid = torch.tensor([True, False, True])
    assert torch.autograd.gradcheck(lambda t: ReliabilityLoss()(t, z_full, z_fg, labels, valid), logit)


def test_reliability_target_is_which_view_predicts_better_by_the_margin():
    z_full, z_fg = torch.tensor([[2., 0.], [0., 2.], [1., 1.]]), torch.tensor([[0., 2.], [2., 0.], [1.2, 1.]])
    labels = torch.tensor([0, 0, 0])
    assert ReliabilityLoss().target(z_full, z_fg, labels).tolist() == [0, 1, 1]
    assert ReliabilityLoss(margin=.5).target(z_full, z_fg, labels).tolist() == [0, 1, 0]


@pytest.mark.parametrize('layers, expected', [(1, 4), (2, 161), (3, 1217)])
def test_gate_sizes(layers, expected):
    assert sum(p.numel() for p in BackboneReliabilityGate(layers=layers).parameters()) == expected
