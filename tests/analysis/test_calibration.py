"""ECE, AUROC, BCE and bins against simple formulas and constructed cases."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fvgpt.analysis.calibration import (
    auroc,
    binary_cross_entropy,
    equal_parts,
    expected_calibration_error,
    gate_summary,
    score_bins,
)

SCORE = st.one_of(st.floats(0, 1), st.sampled_from([0, 0.2, 0.5, 1]))  # with ties
SCORES = st.lists(st.tuples(SCORE, st.booleans()), min_size=1, max_size=60)


def columns(pairs):
    return np.array([score for score, _ in pairs], float), np.array([true for _, true in pairs])


@settings(max_examples=200, deadline=None)
@given(SCORES)
def test_auroc_is_the_share_of_pairs_in_order(pairs):
    score, positive = columns(pairs)
    wins = [1 if p > n else 0.5 if p == n else 0 for p in score[positive] for n in score[~positive]]
    expected = np.mean(wins) if wins else np.nan
    np.testing.assert_allclose(auroc(score, positive), expected, atol=1e-12)


@settings(max_examples=200, deadline=None)
@given(SCORES)
def test_ece_is_the_weighted_difference_in_fifteen_bins(pairs):
    score, true = columns(pairs)
    total = 0
    for i in range(15):
        low, high = np.linspace(0, 1, 16)[i : i + 2]
        inside = [(s, t) for s, t in zip(score, true) if low < s <= high or (i == 0 and s == 0)]
        if inside:
            gap = abs(np.mean([t for _, t in inside]) - np.mean([s for s, _ in inside]))
            total += len(inside) / len(score) * gap
    bins = score_bins(score, true)
    assert expected_calibration_error(bins) == pytest.approx(total, abs=1e-12)
    assert sum(b.size for b in bins) == len(score)


def test_ece_of_constructed_predictions():
    right = np.arange(100) < 80
    assert expected_calibration_error(score_bins(np.full(100, 0.8), right)) == pytest.approx(
        0, abs=1e-12
    )
    assert expected_calibration_error(score_bins(np.ones(100), right)) == pytest.approx(0.2)
    # 40 of 50 are right at a confidence of 0.9, and 40 of 50 at 0.3: differences 0.1 and 0.5
    half = np.r_[np.full(50, 0.9), np.full(50, 0.3)]
    assert expected_calibration_error(
        score_bins(half, np.tile(np.arange(50) < 40, 2))
    ) == pytest.approx(0.3)


@settings(max_examples=100, deadline=None)
@given(SCORES)
def test_bce_equals_that_of_torch(pairs):
    score, true = columns(pairs)
    expected = torch.nn.functional.binary_cross_entropy(
        torch.tensor(score), torch.tensor(true, dtype=torch.double)
    )
    assert binary_cross_entropy(score, true.astype(float)) == pytest.approx(
        float(expected), rel=1e-9, abs=1e-12
    )


@settings(max_examples=100, deadline=None)
@given(SCORES)
def test_equal_parts_are_in_order_and_complete(pairs):
    score, true = columns(pairs)
    parts = equal_parts(score, true)
    assert sum(part.size for part in parts) == len(score)
    assert max(part.size for part in parts) - min(part.size for part in parts) <= 1
    assert all(a.high <= b.low for a, b in zip(parts, parts[1:]))
    assert sum(part.size * part.score for part in parts) == pytest.approx(score.sum(), abs=1e-9)
    assert sum(part.size * part.true for part in parts) == pytest.approx(true.sum(), abs=1e-9)


def test_an_informed_gate_is_better_than_a_constant_and_a_constant_one_is_not():
    target = np.arange(40) % 4 == 0
    informed = gate_summary(np.where(target, 0.9, 0.1), target)
    constant = gate_summary(np.full(40, 0.5), target)
    assert informed['auroc'] == 1 and informed['bce'] < informed['bce_constant']
    assert constant['auroc'] == 0.5 and constant['bce'] > constant['bce_constant']
    assert informed['trust_if_positive'] == pytest.approx(0.9)
    assert informed['trust_if_negative'] == pytest.approx(0.1)
    assert informed['positive'] == 0.25


def test_without_images_the_results_are_empty():
    assert gate_summary(np.empty(0), np.empty(0)) == dict(images=0)
    assert equal_parts(np.empty(0), np.empty(0)) == [] == score_bins(np.empty(0), np.empty(0))
