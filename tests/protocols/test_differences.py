"""Differences between rows of a protocol: intervals over seeds and test images, and sentences."""

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fvgpt.evaluation import Outcome, write_outcomes
from fvgpt.protocols.plan import load_protocol, plan
from fvgpt.protocols.report import write_report
from fvgpt.protocols.statistics import crossed_difference, paired_difference

from ..conftest import ROOT


def drawn(rng, seeds, images, gain=0.1):
    before = rng.random((seeds, images)) < 0.6
    return before, before ^ (rng.random((seeds, images)) < gain)


# ------------------------------------------------------------------ the interval
def test_over_one_seed_it_is_the_paired_t_interval_over_images():
    before, after = drawn(np.random.default_rng(0), 1, 80)
    interval = crossed_difference([(before, after)])
    differences = 100.0 * (after[0].astype(int) - before[0].astype(int))
    expected = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx(tuple(expected))
    assert interval.estimate == pytest.approx(differences.mean()) and interval.n == 1


def test_without_variation_between_images_it_is_the_paired_t_interval_over_seeds():
    right = np.array([[1], [0], [1], [1]]) * np.ones((1, 50))
    before, after = np.zeros_like(right), right
    interval = crossed_difference([(before, after)])
    rows = [(dict(base=0.0), dict(base=100.0 * row.mean())) for row in right]
    assert interval[:3] == pytest.approx(paired_difference(rows, 'base')[:3])


def test_it_is_as_wide_as_a_bootstrap_over_many_seeds_and_images():
    rng = np.random.default_rng(1)
    by_seed, by_image = rng.normal(0, 0.15, (30, 1)), rng.normal(0, 0.3, (1, 400))
    before = np.zeros((30, 400), bool)
    after = rng.random((30, 400)) < 0.4 + by_seed + by_image
    interval = crossed_difference([(before, after)])
    seeds, images = rng.integers(30, size=(500, 30)), rng.integers(400, size=(500, 400))
    means = [100 * after[np.ix_(s, i)].mean() for s, i in zip(seeds, images)]
    low, high = np.percentile(means, [2.5, 97.5])
    assert interval.high - interval.low == pytest.approx(high - low, rel=0.15)


def test_h_agrees_with_a_bootstrap_over_images():
    rng = np.random.default_rng(2)
    parts = [drawn(rng, 1, 300, 0.3), drawn(rng, 1, 200, 0.1)]
    interval = crossed_difference(parts)

    def difference(*rows, axis=-1):
        base, new, after_base, after_new = (row.mean(axis) for row in rows)
        h = [2 * b * n / (b + n) for b, n in ((base, new), (after_base, after_new))]
        return 100 * (h[1] - h[0])

    picks = [rng.integers(part[0].shape[1], size=(2000, part[0].shape[1])) for part in parts]
    rows = [part[k][0][pick] for k in (0, 1) for part, pick in zip(parts, picks)]
    low, high = np.percentile(difference(*rows), [2.5, 97.5])
    assert interval.low == pytest.approx(low, abs=0.6) and interval.high == pytest.approx(
        high, abs=0.6
    )
    exact = difference(*(part[k][0] for k in (0, 1) for part in parts))
    assert interval.estimate == pytest.approx(exact)


def test_it_covers_the_true_difference_of_unlike_seeds_where_a_bootstrap_of_three_does_not():
    rng, hits, bootstrap = np.random.default_rng(3), 0, 0
    for _ in range(300):
        effect = rng.normal(0, 0.15, (3, 1)) + rng.normal(0, 0.1, (1, 200))
        before = rng.random((3, 200)) < 0.5
        after = rng.random((3, 200)) < 0.5 + effect
        interval = crossed_difference([(before, after)])
        hits += interval.low <= 0 <= interval.high
        of_seeds = rng.multinomial(3, [1 / 3] * 3, 100) / 3
        of_images = rng.multinomial(200, [1 / 200] * 200, 100) / 200
        means = ((of_seeds @ (after.astype(float) - before)) * of_images).sum(1)
        low, high = np.percentile(means, [2.5, 97.5])
        bootstrap += low <= 0 <= high
    assert 0.92 <= hits / 300 <= 0.99 and bootstrap / 300 < 0.92


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(2, 30), st.booleans())
def test_it_contains_the_difference_is_antisymmetric_and_is_zero_without_one(
    seed, seeds, images, two_halves
):
    rng = np.random.default_rng(seed)
    parts = [drawn(rng, seeds, images) for _ in range(1 + two_halves)]
    interval = crossed_difference(parts)
    assert interval.low <= interval.estimate <= interval.high
    back = crossed_difference([(after, before) for before, after in parts])
    assert back[:3] == pytest.approx(tuple(-interval[k] for k in (0, 2, 1)), abs=1e-9)
    same = crossed_difference([(before, before) for before, _ in parts])
    assert same[:3] == (0, 0, 0) and all(math.isfinite(figure) for figure in interval)


# ------------------------------------------------------------------ the report
SENTENCE = 'The foreground is worth {difference} points on your data'
COMPARE = [
    dict(of='true', minus='shuffled', column='base', sentence=SENTENCE),
    dict(
        of='true',
        minus=dict(variant='true', source='tuner'),
        column='h',
        sentence='{tuner} {difference}',
    ),
]


def work_dir(folder, seeds=(1, 2, 3), outcomes=True, compare=COMPARE):
    """Runs of two variants with random outcomes on 60 base and 50 new images."""
    rng, runs, kept = np.random.default_rng(0), [], {}
    for variant in ('true', 'shuffled'):
        for seed in seeds:
            name = f'coop_dtd/{variant}/seed{seed}'
            (folder / name).mkdir(parents=True)
            correct = {
                half: {source: rng.random(count) < 0.7 for source in ('tuner', 'fvgpt')}
                for half, count in (('base', 60), ('new', 50))
            }
            results = {
                source: {half: 100 * of[source].mean() for half, of in correct.items()}
                for source in ('tuner', 'fvgpt')
            }
            (folder / name / 'results.json').write_text(json.dumps(results))
            if outcomes:
                write_outcomes(
                    folder / name / 'outcomes.npz',
                    {
                        h: Outcome([f'{i}.png' for i in range(len(of['tuner']))], of)
                        for h, of in correct.items()
                    },
                )
            kept[variant, seed] = correct
            runs.append(dict(tuner='coop', dataset='dtd', variant=variant, seed=seed, folder=name))
    head = dict(protocol='controls', title='Controls', columns=['base', 'new', 'h'], average=[])
    (folder / 'protocol.json').write_text(json.dumps(dict(head, compare=compare, runs=runs)))
    return kept


def test_the_report_answers_in_one_sentence_with_the_interval(tmp_path):
    kept = work_dir(tmp_path)
    text = write_report(tmp_path)
    parts = [
        tuple(
            np.stack([kept[v, s]['base']['fvgpt'] for s in (1, 2, 3)]) for v in ('shuffled', 'true')
        )
    ]
    interval = crossed_difference(parts)
    half = (round(interval.high, 2) - round(interval.low, 2)) / 2
    assert (
        f'The foreground is worth {interval.estimate:+.2f} ± {half:.2f} points on your data (base: '
        'CoOp + FVG-PT, true, minus shuffled; 3 seeds, 60 test images, 95 % interval).'
    ) in text
    assert re.search(
        r'^CoOp [+-]\d+\.\d\d ± .* \(H: .*, minus CoOp; 3 seeds, 110 test images', text, re.M
    )
    assert text.index('The foreground is worth') < text.index('## Paired differences, CoOp on')
    assert f'[{interval.low:+.2f}, {interval.high:+.2f}]' in text
    csv = (tmp_path / 'report' / 'table.csv').read_text()
    assert '"Paired differences, CoOp on DTD",coop,true,difference,base,' in csv


def test_without_outcomes_the_interval_is_over_seeds(tmp_path):
    work_dir(tmp_path, outcomes=False)
    assert '(base: CoOp + FVG-PT, true, minus shuffled; 3 seeds, 95 % interval)' in write_report(
        tmp_path
    )


def test_equal_predictions_are_no_proof_of_equality(tmp_path):
    work_dir(tmp_path, compare=[dict(COMPARE[0], of='true', minus='true')])
    text = write_report(tmp_path)
    assert '+0.00 ± 0.00 points' in text and 'Both are right on the same images' in text


def test_other_test_images_are_not_paired_by_image(tmp_path):
    kept = work_dir(tmp_path)
    file = tmp_path / 'coop_dtd' / 'true' / 'seed2' / 'outcomes.npz'
    write_outcomes(file, {'base': Outcome([f'x{i}' for i in range(60)], kept['true', 2]['base'])})
    assert 'minus shuffled; 3 seeds, 95 % interval)' in write_report(tmp_path)
    file.write_text('broken')
    with pytest.raises(ValueError, match=r'seed2/outcomes.npz is not a file of test outcomes'):
        write_report(tmp_path)


def test_a_sentence_waits_for_its_runs_and_says_if_it_may_be_chance(tmp_path):
    work_dir(tmp_path, seeds=(1,))
    assert '1 seed, 60 test images, 95 % interval). The interval contains 0' in write_report(
        tmp_path
    )
    (tmp_path / 'coop_dtd' / 'shuffled' / 'seed1' / 'results.json').unlink()
    assert 'Not known yet, no seed has both runs: The foreground is worth ...' in write_report(
        tmp_path
    )


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(of='ture'), "names the unknown variant 'ture'"),
        (dict(minus=dict(variant='', source='tunr')), "names the unknown source 'tunr'"),
        (dict(columm='base'), 'an entry of `compare` has of, minus, column, sentence, not'),
        (dict(column='all'), "a sentence about the column 'all', which is not one of `columns`"),
    ],
)
def test_a_wrong_comparison_is_named_when_the_protocol_is_read(tmp_path, change, message):
    protocol = tmp_path / 'mine.py'
    entry = {
        **dict(of='', minus=dict(source='tuner'), column='base', sentence='{difference}'),
        **change,
    }
    protocol.write_text(
        f"title, tuners, datasets = 'x', ['coop'], ['dtd']\ncompare = [{entry!r}]\n"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        load_protocol(str(protocol))


def test_every_control_has_the_same_tuner_and_tests(tmp_path):
    protocol = load_protocol(str(ROOT / 'configs' / 'protocols' / 'foreground_controls.py'))
    for dataset in ('quickstart', 'custom'):
        tuner, *others = plan(protocol, [1], tmp_path, datasets=[dataset])
        runs = [run for run in others if run.labels]
        assert len(runs) == len(protocol.variants)
        assert all(run.needs[0] is tuner for run in runs)
        folds = {run.needs[1:] for run in runs if 'robust' in run.labels['variant']}
        assert len(folds) == 1 and len(*folds) == 2, 'the robust variants share two fold tuners'
        assert tuner.config.train_dataloader.dataset.subset == 'base'
        for run in runs:
            tests = run.config.test_cfg.tests
            assert [test.get('view') for test in tests[:2]] == [None, None]
            assert {test['view'] for test in tests[2:]} == {
                'foreground',
                'foreground_black',
                'background',
                'exchanged',
                'blurred',
            }
    for entry in protocol.compare:
        assert {'of', 'minus'} <= set(entry)
