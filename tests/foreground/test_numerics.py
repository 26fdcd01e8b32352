"""Gates, adapters and branches: within their bounds, finite and differentiable, for any input."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fvgpt.foreground import (
    BackboneReliabilityGate,
    ForegroundDistillationCompensation,
    ForegroundReliabilityGate,
    PriorCalibration,
)
from fvgpt.foreground.open_world import join_branches
from fvgpt.foreground.reliability_gate import entropy

from ..logits import DTYPES, SCALES, SHAPES, logits, one_hot, passes_gradcheck


def precise(dtype):
    return torch.float64 if dtype == torch.float64 else torch.float32


# ------------------------------------------------------------------ gates
@settings(max_examples=60, deadline=None)
@given(SHAPES, SCALES, SCALES, st.integers(0, 99), DTYPES, st.booleans())
def test_statistics_are_inside_their_bounds_and_gates_between_zero_and_one(
    shape, scale, other, seed, dtype, normalize
):
    z, z2 = logits(shape, scale, seed, dtype), logits(shape, other, seed + 1, dtype)
    torch.manual_seed(0)
    frg, brg = (
        gate(normalize_entropy=normalize)
        for gate in (ForegroundReliabilityGate, BackboneReliabilityGate)
    )
    highest = (1 if normalize else math.log(shape[1])) + 1e-4
    if shape[1] == 1:
        highest = 1e-6
    area = torch.rand(shape[0])
    u, s = frg.statistics(z, z2, area), brg.statistics(z, z2)
    for statistics in (u, s):
        assert torch.isfinite(statistics).all() and statistics.dtype == precise(dtype)
    assert (u[:, 0].abs() <= highest).all() and torch.equal(u[:, 2], area.to(u.dtype))
    assert ((s[:, :2] >= 0) & (s[:, :2] <= highest)).all()
    for cosine in (u[:, 1], s[:, 2]):
        assert ((cosine >= 0) & (cosine <= 1 + 1e-5)).all()
    trust, b = frg(z, z2, area), brg(z, z2)
    for value in (trust.logit.sigmoid(), b):
        assert value.dtype == torch.float32 and ((value > 0) & (value < 1)).all()
    assert ((trust.r == 0) | trust.valid).all()


@pytest.mark.parametrize('size', [30.0, 1e30])
def test_with_huge_weights_gates_reach_their_ends_and_no_further(size):
    # In float32 the sigmoid is 1 from 17 on; 0 and 1 are valid weights, and the loss of the trust
    # reads its logit
    gate = BackboneReliabilityGate(layers=1)
    for sign in (-1, 1):
        with torch.no_grad():
            gate.mlp[0].weight.fill_(sign * size)
        z_full, z_clip = logits((4, 2000), 1.0, 0), logits((4, 2000), 1.0, 1)
        b = gate(z_full, z_clip)
        assert (
            ((b >= 0) & (b <= 1)).all()
            and (sign > 0 or (b < 1e-30).all())
            and (sign < 0 or (b == 1).all())
        )
        calibration = PriorCalibration(layers=1)
        calibration.gate = gate
        torch.testing.assert_close(calibration(z_full, z_clip).z_pc, z_clip if sign > 0 else z_full)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 2000))
def test_entropy_lies_between_zero_of_one_hot_and_ln_c_of_uniform(classes):
    certain = torch.zeros(1, classes)
    certain[0, 0] = 1
    assert entropy(certain).item() == 0
    assert entropy(torch.full((1, classes), 1 / classes)).item() == pytest.approx(
        math.log(classes), rel=1e-4, abs=1e-6
    )


@pytest.mark.parametrize('scale', [1.0, 1e4])
@pytest.mark.parametrize('classes', [2, 2000])
def test_statistics_of_one_hot_and_uniform_predictions(classes, scale):
    certain, uniform = one_hot(classes, 0, scale), torch.zeros(1, classes, dtype=torch.float64)
    gate = BackboneReliabilityGate()
    h_certain, h_uniform, cosine = gate.statistics(certain, uniform)[0]
    p = (certain / 2).softmax(-1)
    assert h_uniform.item() == pytest.approx(math.log(classes))
    assert h_certain.item() == pytest.approx(0 if scale > 1 else torch.special.entr(p).sum().item())
    assert cosine.item() == pytest.approx(1 / (p.norm().item() * classes**0.5))
    assert gate.statistics(certain, certain)[0, 2].item() == pytest.approx(1)


def test_with_one_class_everything_is_certain():
    z = torch.tensor([[-7e3], [0.0], [5.0]])
    torch.testing.assert_close(
        BackboneReliabilityGate().statistics(z, -z), torch.tensor([[0.0, 0.0, 1.0]] * 3)
    )
    assert PriorCalibration()(z, -z).z_pc.shape == (3, 1)


@pytest.mark.parametrize('layers', [1, 2, 3])
@pytest.mark.parametrize('batch, classes', [(1, 1), (1, 5), (4, 5)])
def test_gradients_of_the_gates_against_finite_differences(layers, batch, classes):
    torch.manual_seed(0)
    z, z2 = (logits((batch, classes), 3.0, seed, torch.float64) for seed in range(2))
    area = torch.rand(batch, dtype=torch.float64)
    assert passes_gradcheck(
        ForegroundReliabilityGate(layers=layers).double(),
        z,
        z2,
        area,
        read=lambda trust: trust.logit,
    )
    assert passes_gradcheck(BackboneReliabilityGate(layers=layers).double(), z, z2)


@pytest.mark.parametrize('layers, expected', [(1, 4), (2, 161), (3, 1217)])
def test_gate_sizes(layers, expected):
    assert sum(p.numel() for p in BackboneReliabilityGate(layers=layers).parameters()) == expected


# ------------------------------------------------------------------ branches
@settings(max_examples=40, deadline=None)
@given(SHAPES, SCALES, SCALES, st.integers(0, 99), DTYPES)
def test_calibrated_logits_lie_between_the_two_models(shape, scale, other, seed, dtype):
    z_full, z_clip = logits(shape, scale, seed, dtype), logits(shape, other, seed + 1, dtype)
    torch.manual_seed(0)
    z_pc = PriorCalibration()(z_full, z_clip).z_pc
    low, high = (bound(z_full, z_clip).to(z_pc.dtype) for bound in (torch.minimum, torch.maximum))
    slack = 1e-6 * (1 + scale + other)
    assert z_pc.dtype == precise(dtype) and ((z_pc >= low - slack) & (z_pc <= high + slack)).all()
    assert (
        torch.equal(PriorCalibration()(z_full, z_full).z_pc.argmax(-1), z_full.argmax(-1))
        or scale < 1
    )


@pytest.mark.parametrize('batch, classes', [(1, 1), (3, 4)])
def test_gradients_of_the_calibration_against_finite_differences(batch, classes):
    torch.manual_seed(0)
    z_full, z_clip = (logits((batch, classes), 2.0, seed, torch.float64) for seed in range(2))
    assert passes_gradcheck(
        PriorCalibration().double(), z_full, z_clip, read=lambda calibrated: calibrated.z_pc
    )


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 4),
    st.sampled_from([1, 2, 2000]),
    st.sampled_from([0.0, 1e-3, 1.0, 1e4]),
    DTYPES,
    st.sampled_from(['zero', 'small_weight', 'layer_scale']),
    st.sampled_from(['raw', 'unit']),
)
def test_compensated_logits_are_cosines_times_the_scale_and_their_gradients_finite(
    batch, classes, scale, dtype, init, reads
):
    torch.manual_seed(0)
    fdc = ForegroundDistillationCompensation(8, 4, residual_init=init, adapter_input=reads)
    if dtype == torch.float64:
        fdc = fdc.double()
    f, g = logits((batch, 8), scale, 0, dtype), logits((classes, 8), 1.0, 1, dtype)
    z = fdc(f, g)
    assert (
        z.shape == (batch, classes) and z.dtype == precise(dtype) and (z.abs() <= 100 + 1e-3).all()
    )
    z.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in fdc.parameters() if p.grad is not None)


@pytest.mark.parametrize('init', ['zero', 'small_weight', 'layer_scale'])
@pytest.mark.parametrize('reads', ['raw', 'unit'])
def test_gradients_of_the_adapters_against_finite_differences(init, reads):
    torch.manual_seed(0)
    fdc = ForegroundDistillationCompensation(
        4, 3, residual_init=init, adapter_input=reads, init_scale=0.1
    ).double()
    assert passes_gradcheck(
        fdc, logits((1, 4), 1.0, 0, torch.float64), logits((3, 4), 1.0, 1, torch.float64)
    )


@settings(max_examples=40, deadline=None)
@given(SHAPES, SCALES, DTYPES, st.sampled_from(['all', 'none', 'some']), st.integers(0, 99))
def test_joined_branches_have_finite_gradients_whoever_was_trained_on(
    shape, scale, dtype, known, seed
):
    z_fdc, z_pc = (logits(shape, scale, seed + i, dtype).requires_grad_() for i in range(2))
    trained = dict(all=torch.ones, none=torch.zeros, some=torch.ones)[known](
        shape[1], dtype=torch.bool
    )
    if known == 'some':
        trained[::2] = False
    log_p = join_branches(z_fdc, z_pc, trained)
    assert log_p.dtype == precise(dtype) and torch.isfinite(log_p).all()
    torch.testing.assert_close(
        log_p.exp().sum(-1), torch.ones_like(log_p[:, 0]), rtol=1e-4, atol=1e-4
    )
    log_p[:, 0].sum().backward()
    assert torch.isfinite(z_fdc.grad).all() and torch.isfinite(z_pc.grad).all()


@pytest.mark.parametrize(
    'trained', [[True, True, True], [False, False, False], [True, False, True]]
)
def test_gradients_of_the_joined_branches_against_finite_differences(trained):
    z_fdc, z_pc = (logits((2, 3), 2.0, seed, torch.float64).requires_grad_() for seed in range(2))
    assert torch.autograd.gradcheck(
        lambda a, b: join_branches(a, b, torch.tensor(trained)), (z_fdc, z_pc)
    )
