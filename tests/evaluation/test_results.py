"""Accuracies, their harmonic mean, and the table."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmpretrain.structures import DataSample

from fvgpt.evaluation import (
    Outcome,
    SubsetAccuracy,
    WorstGroupAccuracy,
    differences,
    harmonic_mean,
    harmonic_means,
    nested_results,
    read_outcomes,
    results_table,
    write_outcomes,
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


def test_the_column_of_a_view_is_its_own():
    metric = SubsetAccuracy()
    for meta, column in (
        (dict(subset='base', view='exchanged'), 'base_exchanged'),
        (dict(subset='base', view=None), 'base'),
        (dict(subset='base', view='blurred', column='mine'), 'mine'),
    ):
        metric.dataset_meta = meta
        metric.process(None, [sample(0, pred=[0.9, 0.1])])
        assert metric.evaluate(1) == {f'pred/{column}': 100.0}


def test_a_prediction_counts_as_the_superclass_of_its_class():
    metric = SubsetAccuracy()
    metric.dataset_meta = dict(subset='all', classes='abcd', superclasses=(0, 1, 1, -1))
    scores = torch.eye(4)
    samples = [sample(label, pred=scores[i]) for label, i in ((0, 0), (1, 2), (0, 1), (1, 3))]
    samples.append(sample(1, pred=torch.full((4,), float('nan'))))
    metric.process(None, samples)
    assert metric.evaluate(5) == {'pred/all': 40.0}


def test_differences_of_columns_are_per_source():
    metrics = {'tuner/a': 80.0, 'tuner/b': 70.0, 'fvgpt/a': 81.0, 'fvgpt/b': 75.5, 'other/a': 1.0}
    pairs = dict(gap=('a', 'b'), absent=('a', 'c'))
    assert differences(metrics, pairs) == {'tuner/gap': 10.0, 'fvgpt/gap': 5.5}


# ------------------------------------------------------------------ groups of images
def of_group(group, label, **scores):
    return dict(sample(label, **scores), group=group)


def test_worst_group_and_mean_over_groups_of_unequal_size():
    metric = WorstGroupAccuracy()
    metric.dataset_meta = dict(subset='all', groups=('land on land', 'land on water', 'water'))
    right, wrong = [0.9, 0.1], [0.2, 0.8]
    samples = [of_group(0, 0, tuner=right, fvgpt=right) for _ in range(7)]
    samples += [of_group(1, 0, tuner=wrong, fvgpt=right), of_group(1, 0, tuner=right, fvgpt=wrong)]
    samples += [of_group(2, 1, tuner=wrong, fvgpt=right)]
    metric.process(None, samples)
    assert metric.evaluate(len(samples)) == {
        'tuner/all_worst': 50.0,
        'tuner/all_groups': pytest.approx((100 + 50 + 100) / 3),
        'fvgpt/all_worst': 0.0,
        'fvgpt/all_groups': pytest.approx((100 + 50 + 0) / 3),
    }


def test_worst_group_accuracy_needs_groups():
    metric = WorstGroupAccuracy()
    metric.process(None, [of_group(0, 0, pred=[0.9, 0.1]), sample(0, pred=[0.9, 0.1])])
    with pytest.raises(ValueError, match='needs a number `group` in every sample'):
        metric.evaluate(2)


# ------------------------------------------------------------------ which images were right
def test_outcomes_tell_which_images_each_source_got_right(tmp_path):
    metric = SubsetAccuracy()
    metric.dataset_meta = dict(subset='all', halves=True, column='open', classes='abcd')
    scores = torch.eye(4)
    samples = [
        dict(sample(label, tuner=scores[label], fvgpt=scores[3]), img_path=f'/data/x/{label}.png')
        for label in (3, 0, 1)
    ]
    metric.process(None, samples)
    metrics = metric.evaluate(3)
    outcomes = {column: of.below('/data') for column, of in metric.outcomes.items()}
    assert outcomes['open'].images == ['x/3.png', 'x/0.png', 'x/1.png']
    assert outcomes['open'].correct['fvgpt'].tolist() == [True, False, False]
    assert outcomes['open_base'].images == ['x/0.png', 'x/1.png']
    assert outcomes['open'].below('/other').images == outcomes['open'].images
    for column, outcome in outcomes.items():
        for source, correct in outcome.correct.items():
            assert metrics[f'{source}/{column}'] == pytest.approx(100 * correct.mean())
    write_outcomes(tmp_path / 'outcomes.npz', outcomes)
    read = read_outcomes(tmp_path / 'outcomes.npz')
    assert {c: o.images for c, o in read.items()} == {c: o.images for c, o in outcomes.items()}
    assert (read['open'].correct['tuner'] == outcomes['open'].correct['tuner']).all()


def test_samples_without_files_have_no_outcomes():
    metric = SubsetAccuracy()
    metric.process(None, [sample(0, pred=[0.9, 0.1])])
    metric.evaluate(1)
    assert metric.outcomes == {}


@pytest.mark.parametrize('content', [b'', b'not a zip', b'PK\x03\x04'])
def test_a_broken_file_of_outcomes_is_named(tmp_path, content):
    (tmp_path / 'outcomes.npz').write_bytes(content)
    with pytest.raises(ValueError, match='outcomes.npz is not a file of test outcomes'):
        read_outcomes(tmp_path / 'outcomes.npz')


def test_outcomes_of_different_lengths_are_refused(tmp_path):
    outcome = Outcome(['a', 'b'], dict(tuner=torch.ones(3, dtype=torch.bool).numpy()))
    write_outcomes(tmp_path / 'outcomes.npz', dict(base=outcome))
    with pytest.raises(ValueError, match='different lengths'):
        read_outcomes(tmp_path / 'outcomes.npz')


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
