"""Accuracies, their harmonic mean, and the table."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmpretrain.structures import DataSample

from fvgpt.evaluation import (
    SubsetAccuracy,
    harmonic_mean,
    harmonic_means,
    nested_results,
    results_table,
)
from fvgpt.io.json_file import write_json


@given(st.floats(0, 100), st.floats(0, 100))
def test_harmonic_mean_is_between_both_values(base, new):
    assert min(base, new) - 1e-9 <= harmonic_mean(base, new) <= max(base, new) + 1e-9
    assert harmonic_mean(base, new) == harmonic_mean(new, base)


def test_harmonic_mean_of_a_published_table():
    assert harmonic_mean(80.94, 70.03) == pytest.approx(75.09, abs=0.01)


def test_harmonic_means_need_both_subsets():
    metrics = {'tuner/base': 80.0, 'tuner/new': 60.0, 'pred/all': 50.0}
    assert harmonic_means(metrics) == {'tuner/h': pytest.approx(68.5714, abs=1e-3)}


def sample(label, **scores):
    data_sample = DataSample().set_gt_label(label)
    for key, score in scores.items():
        data_sample.set_field(torch.tensor(score), f'{key}_score', dtype=torch.Tensor)
    return data_sample.to_dict()


def test_accuracy_of_each_source_on_the_subset():
    metric = SubsetAccuracy()
    metric.dataset_meta = dict(subset='new')
    metric.process(
        None,
        [
            sample(0, tuner=[0.9, 0.1], fvgpt=[0.9, 0.1], pred=[0.9, 0.1]),
            sample(1, tuner=[0.9, 0.1], fvgpt=[0.2, 0.8], pred=[0.2, 0.8]),
        ],
    )
    assert metric.evaluate(2) == {'tuner/new': 50.0, 'fvgpt/new': 100.0}


def test_a_classifier_without_named_sources():
    metric = SubsetAccuracy()
    metric.process(None, [sample(0, pred=[0.9, 0.1])])
    assert metric.evaluate(1) == {'pred/all': 100.0}


def test_table_and_file(tmp_path):
    results = nested_results(
        {
            'fvgpt/base': 82.4,
            'fvgpt/new': 73.62,
            'fvgpt/h': 77.76,
            'zero_shot/base': 70.0,
            'time': 1.0,
        }
    )
    assert list(results) == ['zero_shot', 'fvgpt']
    lines = results_table(results, 'CoOp').splitlines()
    assert lines[0].split() == ['base', 'new', 'H']
    assert lines[2].split() == ['CoOp', '+', 'FVG-PT', '82.40', '73.62', '77.76']
    write_json(tmp_path / 'results.json', results)
    assert json.loads((tmp_path / 'results.json').read_text()) == results
    assert [p.name for p in tmp_path.iterdir()] == ['results.json']
