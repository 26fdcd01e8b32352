"""D_fg against its formula."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fvgpt.analysis.foreground_shift import foreground_shift

LOGITS = st.lists(st.floats(-30, 30), min_size=3, max_size=3)


def softmax(z, temperature):
    powers = [math.exp((value - max(z)) / temperature) for value in z]
    return [power / sum(powers) for power in powers]


@settings(max_examples=100, deadline=None)
@given(LOGITS, LOGITS, st.sampled_from([1.0, 2.0, 5.0]))
def test_shift_is_the_divergence_of_the_predictions_at_a_temperature(full, fg, temperature):
    p, q = softmax(full, temperature), softmax(fg, temperature)
    expected = sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q))
    found = foreground_shift(
        torch.tensor([full], dtype=torch.double),
        torch.tensor([fg], dtype=torch.double),
        temperature,
    )
    assert found.shape == (1,) and float(found) == pytest.approx(expected, abs=1e-9)
    assert float(found) >= 0
