"""D_fg against its formula, and as a metric of two tests."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fvgpt.evaluation.foreground_shift import ForegroundShift, foreground_shift

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


# ------------------------------------------------------------------ the metric
def evaluate(metric, logits, **meta):
    """Evaluate a test in which image i has the logits (N, C) of each source."""
    metric.dataset_meta = dict(dict(subset='base', classes='abc', branch='base'), **meta)
    count = len(next(iter(logits.values())))
    samples = [
        dict(
            {f'{source}_score': z[i].softmax(-1) for source, z in logits.items()},
            pred_score=torch.zeros(3),
            img_path=f'{i}.png',
        )
        for i in range(count)
    ]
    metric.process(None, samples)
    return metric.evaluate(count)


def test_the_mean_shift_of_each_source_between_two_tests():
    torch.manual_seed(0)
    full = {source: 5 * torch.randn(6, 3) for source in ('tuner', 'fvgpt')}
    view = {source: 5 * torch.randn(6, 3) for source in full}
    metric = ForegroundShift(views=['foreground', 'blurred'])
    assert evaluate(metric, full, view=None) == {}
    assert evaluate(metric, {s: z.flip(0) for s, z in view.items()}, view='exchanged') == {}
    for name in ('foreground', 'blurred'):
        assert evaluate(metric, view, view=name) == {
            f'{source}/base_{name}_shift': pytest.approx(
                float(foreground_shift(full[source], view[source], 2.0).mean()), rel=1e-4
            )
            for source in full
        }
    # fewer images than the full test had: those without a usable mask are left out
    (first,) = evaluate(metric, {'tuner': view['tuner'][:1]}, view='foreground').values()
    assert first == pytest.approx(
        float(foreground_shift(full['tuner'][:1], view['tuner'][:1], 2.0)), rel=1e-4
    )


def test_a_shift_needs_the_full_images_first_with_the_same_classes():
    metric, z = ForegroundShift(), dict(tuner=torch.zeros(2, 3))
    evaluate(metric, z, subset='new', classes='xyz')
    with pytest.raises(ValueError, match='no prediction of the full image of 2 images'):
        evaluate(metric, z, view='foreground')


def test_probabilities_that_vanish_give_a_finite_shift():
    metric = ForegroundShift()
    evaluate(metric, dict(tuner=torch.tensor([[0.0, 300.0, 0.0]])))
    (shift,) = evaluate(
        metric, dict(tuner=torch.tensor([[300.0, 0.0, 0.0]])), view='foreground'
    ).values()
    assert 40 < shift < 50  # half of 87.3, at tau = 2
