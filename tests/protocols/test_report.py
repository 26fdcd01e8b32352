"""The report of a protocol: means, intervals, published numbers, and the four files."""

import csv
import json
import math
import re
import shutil
import subprocess
from itertools import pairwise
from statistics import mean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fvgpt.evaluation import harmonic_mean
from fvgpt.protocols.plot import dot_panels, numeric_variants
from fvgpt.protocols.published_numbers import dataset_key, numbers, published
from fvgpt.protocols.report import write_report
from fvgpt.protocols.statistics import center, paired_difference, spread
from fvgpt.protocols.tables import accuracy_tables
from fvgpt.protocols.work_dir import read_work_dir

# Student's t, two-sided 95 %, by degrees of freedom
T_TABLE = {1: 12.7062, 2: 4.30265, 3: 3.18245, 9: 2.26216}
accuracies = st.floats(1, 100)
halves = st.fixed_dictionaries(dict(base=accuracies, new=accuracies))


# ------------------------------------------------------------------ statistics
@given(st.lists(halves, min_size=1, max_size=6))
def test_h_is_the_harmonic_mean_of_the_means(rows):
    base, new = (mean(row[half] for row in rows) for half in ('base', 'new'))
    assert center(rows, 'h') == pytest.approx(harmonic_mean(base, new))
    assert min(base, new) - 1e-9 <= center(rows, 'h') <= max(base, new) + 1e-9


def test_center_and_spread_against_hand_computed_values():
    rows = [dict(base=80.0, new=60.0), dict(base=90.0, new=60.0), dict(base=100.0, new=60.0)]
    assert center(rows, 'base') == 90 and center(rows, 'h') == 72
    assert spread(rows, 'base') == 10 and spread(rows, 'new') == 0
    assert spread(rows, 'h') == pytest.approx(
        stdev(2 * 60 * base / (60 + base) for base in (80, 90, 100))
    )
    assert spread(rows[:1], 'base') is None
    assert center(rows, 'open') is None and center([], 'base') is None


@given(st.lists(accuracies, min_size=2, max_size=8), st.floats(-30, 30))
def test_the_interval_of_constant_differences_has_width_zero(values, gain):
    interval = paired_difference(
        [(dict(base=value), dict(base=value + gain)) for value in values], 'base'
    )
    assert (interval.low, interval.high) == pytest.approx((gain, gain), abs=1e-6)


@pytest.mark.parametrize('n', [degrees + 1 for degrees in T_TABLE])
def test_interval_of_a_mean_is_the_paired_t_interval(n):
    differences = [math.sin(7.0 * i) for i in range(n)]
    pairs = [(dict(base=50.0 + i), dict(base=50.0 + i + d)) for i, d in enumerate(differences)]
    interval = paired_difference(pairs, 'base')
    half = T_TABLE[n - 1] * stdev(differences) / math.sqrt(n)
    assert interval.estimate == pytest.approx(mean(differences)) and interval.n == n
    assert (interval.high - interval.low) / 2 == pytest.approx(half, rel=1e-4)


@given(
    st.lists(st.tuples(halves, halves), min_size=2, max_size=8),
    st.sampled_from(['base', 'new', 'h']),
)
def test_interval_contains_the_difference_of_the_table_and_is_antisymmetric(pairs, column):
    before, after = zip(*pairs)
    interval = paired_difference(pairs, column)
    assert interval.estimate == pytest.approx(
        center(after, column) - center(before, column), abs=1e-9
    )
    assert interval.low <= interval.estimate <= interval.high
    swapped = paired_difference([(b, a) for a, b in pairs], column)
    assert (swapped.low, swapped.high) == pytest.approx((-interval.high, -interval.low), abs=1e-6)


@given(st.lists(st.tuples(accuracies, accuracies), min_size=2, max_size=6))
def test_interval_of_h_equals_that_of_its_halves_if_they_are_equal(values):
    pairs = [tuple(dict(base=value, new=value) for value in pair) for pair in values]
    assert paired_difference(pairs, 'h')[:3] == pytest.approx(
        paired_difference(pairs, 'base')[:3], abs=1e-6
    )


@given(
    st.lists(
        st.tuples(halves, halves), min_size=2, max_size=4, unique_by=lambda pair: pair[1]['base']
    )
)
def test_repeating_the_pairs_makes_the_interval_narrower(pairs):
    widths = []
    for times in (1, 2, 4):
        interval = paired_difference(pairs * times, 'base')
        widths.append(interval.high - interval.low)
    assert all(wide > narrow or wide < 1e-9 for wide, narrow in pairwise(widths))


def test_one_pair_has_no_interval():
    assert paired_difference([(dict(base=80.0), dict(base=81.0))], 'base') == (1.0, None, None, 1)
    assert paired_difference([], 'base') is None
    assert paired_difference([(dict(base=80.0), dict(new=81.0))], 'base') is None


# ------------------------------------------------------------------ published numbers
MISPRINTS = {('MMRL', 'dtd'), ('MMRL', 'fgvc_aircraft'), ('MaPLe', 'fgvc_aircraft')}


def test_published_numbers_are_consistent():
    """H follows from base and new, averages from the rows, but for the misprints listed above."""
    eleven = {'imagenet', *numbers()['cross_dataset_targets']}
    checked = 0
    for row in numbers()['accuracy']:
        assert row['source'] and row['method'] in ('zero_shot', 'tuner', 'fvgpt')
        assert row.get('tuner', 'coop') in numbers()['titles']
        values = row['values']
        assert set(values) <= eleven | {'average'}
        for dataset, cells in values.items():
            if {'base', 'new', 'h'} <= set(cells):
                h = harmonic_mean(cells['base'], cells['new'])
                off = (numbers()['titles'].get(row.get('tuner')), dataset) in MISPRINTS
                assert cells['h'] == pytest.approx(h, abs=0.12 if off else 0.025), row['source']
                checked += 1
        if eleven <= set(values) and (row.get('tuner'), row['source']) != (
            'coop',
            'rerun in the DePT paper, Table 1',
        ):
            for column in ('base', 'new'):
                own = mean(values[dataset][column] for dataset in eleven)
                assert values['average'][column] == pytest.approx(own, abs=0.02), row['source']
    assert checked > 150


def test_published_numbers_are_found_by_any_usual_name():
    assert dataset_key('flowers102') == dataset_key('OxfordFlowers') == 'oxford_flowers'
    assert dataset_key('describable_textures') == 'dtd'
    assert dataset_key('imagenet_v2') != dataset_key('imagenet')
    assert dataset_key('quickstart') == 'quickstart'
    found = published('fvgpt', 'coop', '', 'average', ['base', 'new', 'h'], [])
    assert found == [('FVG-PT paper, Table 1', dict(base=82.40, new=73.62, h=77.76))]
    known = {
        'FDC only': 70.98,
        'FRG + FDC': 71.69,
        'lambda_d=50': 77.60,
        'gate width 32': 77.76,
        'layers 3': 77.68,
    }
    for variant, h in known.items():
        assert [
            row.values['h'] for row in published('fvgpt', 'coop', variant, 'average', ['h'], [])
        ] == [h]
    assert not published('tuner', 'coop', '', 'quickstart', ['base', 'new', 'h'], [])
    assert not published('tuner', 'coop', '16 shots', 'dtd', ['base', 'new', 'h'], [])


def test_the_average_of_other_targets_is_not_set_beside_the_papers():
    targets = numbers()['cross_dataset_targets']
    columns = ['imagenet', *targets, 'average']
    assert any(
        'average' in row.values
        for row in published('tuner', 'coop', '', 'imagenet', columns, targets)
    )
    assert not any(
        'average' in row.values
        for row in published('tuner', 'coop', '', 'imagenet', columns, targets[:9])
    )


# ------------------------------------------------------------------ the report
def work_dir(
    path, cells, columns=('base', 'new', 'h'), average=(), protocol='base_to_new', missing=()
):
    """Write the work dir of a protocol.

    Args:
        cells: (tuner, dataset, variant) -> per seed: source -> accuracies.
        missing: (tuner, dataset, variant, seed) of runs that are not done.
    """
    runs = []
    for (tuner, dataset, variant), seeds in cells.items():
        for seed, results in enumerate(seeds, 1):
            folder = f'{tuner}_{dataset}/{variant.replace(" ", "_")}/seed{seed}'.replace('//', '/')
            runs.append(
                dict(tuner=tuner, dataset=dataset, variant=variant, seed=seed, folder=folder)
            )
            if (tuner, dataset, variant, seed) not in missing:
                (path / folder).mkdir(parents=True)
                (path / folder / 'results.json').write_text(json.dumps(results))
    content = dict(
        protocol=protocol, title='A & B', columns=list(columns), average=list(average), runs=runs
    )
    (path / 'protocol.json').write_text(json.dumps(content))
    return path


def seeds(*gains, zero=(70.0, 75.0), tuner=(80.0, 60.0)):
    """Results of one seed per gain of FVG-PT over the tuner, on base and on new classes.

    The tuner's base accuracy is one point higher with each further seed.
    """
    rows = []
    for i, gain in enumerate(gains):
        before = (tuner[0] + i, tuner[1])
        accuracies = dict(zero_shot=zero, tuner=before, fvgpt=(before[0] + gain, before[1] + gain))
        rows.append(
            {source: dict(base=base, new=new, h=0.0) for source, (base, new) in accuracies.items()}
        )
    return rows


def table(text, title):
    """Parse a Markdown table: label -> heading -> cell."""
    lines = text[text.index(f'## {title}\n') :].split('\n\n')[1].splitlines()
    head, _, *rows = [
        [cell.strip() for cell in re.split(r'(?<!\\)\|', line)[1:-1]] for line in lines
    ]
    return {row[0]: dict(zip(head[1:], row[1:])) for row in rows}


def csv_rows(path):
    return list(csv.DictReader((path / 'report' / 'table.csv').read_text().splitlines()))


def test_table_of_one_data_set_against_hand_computed_values(tmp_path):
    text = write_report(work_dir(tmp_path, {('coop', 'quickstart', ''): seeds(1.0, 2.0, 3.0)}))
    rows = table(text, 'quickstart')
    assert list(rows) == ['zero-shot CLIP', 'CoOp', 'CoOp + FVG-PT', 'gain over CoOp'], (
        'there are no published numbers of this data set'
    )
    assert rows['CoOp'] == dict(
        base='81.00 ± 1.00', new='60.00 ± 0.00', H='68.94 ± 0.36', seeds='3'
    )
    assert (
        rows['CoOp + FVG-PT']['H']
        == f'{harmonic_mean(83, 62):.2f} ± '
        + f'{stdev(harmonic_mean(*halves) for halves in ((81, 61), (83, 62), (85, 63))):.2f}'
    )
    gain = rows['gain over CoOp']
    assert gain['base'] == '+2.00 [-0.48, +4.48]' and gain['seeds'] == '3'
    assert '3 of 3 runs are done.' in text
    assert text == (tmp_path / 'report' / 'table.md').read_text()
    assert sorted(path.name for path in (tmp_path / 'report').iterdir()) == [
        'plot.png',
        'table.csv',
        'table.md',
        'table.tex',
    ]


def test_a_gain_that_is_rounded_to_zero_has_no_minus(tmp_path):
    rows = table(
        write_report(work_dir(tmp_path, {('coop', 'quickstart', ''): seeds(-0.001)})), 'quickstart'
    )
    assert rows['gain over CoOp']['base'] == '+0.00 (n = 1)'


def test_one_seed_has_no_deviation_and_no_interval(tmp_path):
    rows = table(
        write_report(work_dir(tmp_path, {('coop', 'quickstart', ''): seeds(-1.0)})), 'quickstart'
    )
    assert rows['CoOp']['base'] == '80.00' and rows['gain over CoOp']['base'] == '-1.00 (n = 1)'
    gain = next(row for row in csv_rows(tmp_path) if row['kind'] == 'gain')
    assert gain['sd'] == gain['low'] == gain['high'] == ''


def test_average_over_data_sets(tmp_path):
    cells = {
        ('coop', 'dtd', ''): seeds(1.0, 1.0),
        ('coop', 'eurosat', ''): seeds(3.0, 3.0, tuner=(60.0, 90.0)),
        ('coop', 'ucf101', ''): seeds(9.0, 9.0),
    }
    missing = [('coop', 'dtd', '', 2), ('coop', 'ucf101', '', 1), ('coop', 'ucf101', '', 2)]
    text = write_report(work_dir(tmp_path, cells, missing=missing))
    rows = table(text, 'Average over data sets')
    assert rows['CoOp'] == {
        'base': '70.25',
        'new': '75.00',
        'H': f'{harmonic_mean(70.25, 75):.2f}',
        'data sets': '2 of 3',
    }
    assert rows['gain over CoOp']['new'] == f'+2.00 [{2 - T_TABLE[1]:+.2f}, {2 + T_TABLE[1]:+.2f}]'
    assert 'CoOp + FVG-PT: without UCF101, not all sources of which are done.' in text
    assert (
        'Missing (3): coop_dtd/seed2; coop_ucf101/seed1, seed2.' in text and '## UCF101' not in text
    )
    assert table(text, 'DTD')['CoOp']['seeds'] == '1 of 2'
    assert rows['published: CoOp + FVG-PT, 11 data sets [4]']['H'] == '77.76'
    assert '- [4] FVG-PT paper, Table 1' in text and '- [1] CoCoOp paper, base-to-new table' in text
    assert [
        row['base']
        for label, row in table(text, 'DTD').items()
        if label.startswith('published: CoOp [')
    ] == ['79.44', '79.33', '80.09']


def test_a_data_set_without_one_of_the_sources_is_left_out_of_the_average(tmp_path):
    half = [dict(tuner=results['tuner']) for results in seeds(0.0, 0.0)]
    text = write_report(
        work_dir(tmp_path, {('coop', 'dtd', ''): seeds(1.0, 1.0), ('coop', 'eurosat', ''): half})
    )
    rows = table(text, 'Average over data sets')
    assert (
        rows['CoOp']['data sets'] == '1 of 2' and rows['gain over CoOp']['base'] == '+1.00 (n = 1)'
    )
    assert next(iter(table(text, 'EuroSAT'))) == 'CoOp'


def test_a_line_that_variants_share_appears_once(tmp_path):
    cells = {
        ('coop', 'quickstart', 'PC only'): seeds(1.0, 2.0),
        ('coop', 'quickstart', 'FRG+FDC'): seeds(2.0, 3.0),
    }
    cells['kgcoop', 'quickstart', ''] = seeds(1.0, 1.0, tuner=(50.0, 50.0))
    rows = table(write_report(work_dir(tmp_path, cells)), 'quickstart')
    assert list(rows) == [
        'zero-shot CLIP',
        'CoOp',
        'CoOp + FVG-PT, PC only',
        'gain over CoOp, PC only',
        'CoOp + FVG-PT, FRG+FDC',
        'gain over CoOp, FRG+FDC',
        'KgCoOp',
        'KgCoOp + FVG-PT',
        'gain over KgCoOp',
    ]


def test_a_line_that_differs_between_variants_appears_with_each(tmp_path):
    cells = {
        ('coop', 'quickstart', f'{shots} shots'): seeds(1.0, 1.0, tuner=(50.0 + shots, 60.0))
        for shots in (2, 4)
    }
    rows = table(write_report(work_dir(tmp_path, cells, protocol='few_shot')), 'quickstart')
    assert list(rows)[:2] == ['zero-shot CLIP', 'CoOp, 2 shots'] and 'CoOp, 4 shots' in rows


def test_a_published_row_of_all_tuners_appears_once(tmp_path):
    cells = {('coop', 'dtd', ''): seeds(1.0), ('mmrl', 'dtd', ''): seeds(1.0, zero=(60.0, 60.0))}
    rows = table(write_report(work_dir(tmp_path, cells)), 'DTD')
    assert [label for label in rows if 'zero-shot' in label] == [
        'zero-shot CLIP (CoOp)',
        'published: zero-shot CLIP [1]',
        'zero-shot CLIP (MMRL)',
    ]
    text = (tmp_path / 'report' / 'table.md').read_text()
    assert text.count('published: zero-shot CLIP [1]') == 1


def test_a_table_with_many_columns_is_transposed_and_has_an_average(tmp_path):
    targets = numbers()['cross_dataset_targets']
    results = [
        {
            source: {
                column: 50.0 + gain + i + seed for i, column in enumerate(['imagenet', *targets])
            }
            for source, gain in dict(zero_shot=0, tuner=1, fvgpt=2).items()
        }
        for seed in range(2)
    ]
    cells = {(tuner, 'imagenet', ''): results for tuner in ('coop', 'mmrl')}
    text = write_report(work_dir(tmp_path, cells, ['imagenet', *targets], targets, 'cross_dataset'))
    rows = table(text, 'ImageNet, CoOp')
    assert (
        rows['average']['CoOp'] == '57.00 ± 0.71'
        and rows['EuroSAT']['gain over CoOp'] == '+1.00 [+1.00, +1.00]'
    )
    assert {'65.72', '63.88', '64.57', '64.98'} <= set(rows['average'].values()) and rows['seeds'][
        'CoOp'
    ] == '2'
    assert '## ImageNet, MMRL' in text


def test_a_variant_that_is_only_a_number_gets_the_name_of_the_protocol(tmp_path):
    cells = {
        ('coop', dataset, value): seeds(1.0, 1.0)
        for dataset in ('dtd', 'ucf101')
        for value in ('1', '10')
    }
    rows = table(
        write_report(work_dir(tmp_path, cells, protocol='lambda_d')), 'Average over data sets'
    )
    label = next(
        label for label in rows if label.startswith('published: CoOp + FVG-PT, lambda_d 10')
    )
    assert 'CoOp + FVG-PT, lambda_d 10' in rows and rows[label]['H'] == '77.76'


def test_table_of_costs(tmp_path):
    cells = {
        ('mmrl', 'imagenet', 'tuner alone'): [
            dict(tuner=results['tuner']) for results in seeds(0.0, 0.0)
        ],
        ('mmrl', 'imagenet', 'with FVG-PT'): seeds(1.0, 1.0),
    }
    work_dir(tmp_path, cells, protocol='cost')
    for run in ('tuner_alone', 'with_FVG-PT'):
        for seed, rate in ((1, 100.0), (2, 102.0)):
            cost = dict(
                trainable_parameters=4992256,
                tuning_images_per_second=rate,
                peak_memory_mb=None,
                device='X|1',
            )
            (tmp_path / 'mmrl_imagenet' / run / f'seed{seed}' / 'cost.json').write_text(
                json.dumps(cost)
            )
    rows = table(write_report(tmp_path), 'Cost')
    assert rows[r'MMRL, tuner alone on X\|1'] == {
        'parameters': '4,992,256',
        'tuning images/s': '101.00 ± 1.41',
        'inference images/s': '',
        'peak memory (MB)': '',
        'runs': '2',
    }
    printed = next(
        label for label in rows if label.startswith('published: MMRL + FVG-PT, on other hardware [')
    )
    assert rows[printed]['peak memory (MB)'] == '808.40'


def test_costs_on_the_embedded_data_set_have_no_published_ones_beside_them(tmp_path):
    work_dir(tmp_path, {('mmrl', 'quickstart', ''): seeds(1.0)})
    (tmp_path / 'mmrl_quickstart' / 'seed1' / 'cost.json').write_text('{"peak_memory_mb": 900}')
    assert list(table(write_report(tmp_path), 'Cost')) == ['MMRL + FVG-PT']


def figures(text):
    return sorted(re.findall(r'[-+]?\d+\.\d\d(?!\d)', text))


SPECIAL_CHARACTERS = r'50% of_{x} & y\z #1 $2 ~^ <a|b> [c]*'


def test_all_formats_contain_the_same_numbers(tmp_path):
    cells = {
        ('coop', 'dtd', SPECIAL_CHARACTERS): seeds(1.25, -2.5, 0.5),
        ('coop', 'ucf101', SPECIAL_CHARACTERS): seeds(1.0, 2.0, 4.0),
    }
    text = write_report(work_dir(tmp_path, cells))
    tex = (tmp_path / 'report' / 'table.tex').read_text()
    shown = []
    for row in csv_rows(tmp_path):
        sign = '+' if row['kind'] == 'gain' else ''
        shown += [
            f'{float(row[key]):{sign if key != "sd" else ""}.2f}'
            for key in ('value', 'sd', 'low', 'high')
            if row[key]
        ]
    tables = '\n'.join(line for line in text.splitlines() if line.startswith('|'))
    tabulars = '\n'.join(re.findall(r'\\midrule(.*?)\\bottomrule', tex, re.DOTALL)).replace(
        '$-$', '-'
    )
    assert len(shown) > 60 and sorted(shown) == figures(tables) == figures(tabulars)
    assert {row['variant'] for row in csv_rows(tmp_path)} == {'', SPECIAL_CHARACTERS}


def test_latex_escapes_and_compiles(tmp_path):
    write_report(
        work_dir(
            tmp_path,
            {
                ('coop', 'x_[1]', SPECIAL_CHARACTERS): seeds(1.0, -2.0),
                ('coop', 'dtd', SPECIAL_CHARACTERS): seeds(1.0, 2.0),
            },
        )
    )
    tex = (tmp_path / 'report' / 'table.tex').read_text()
    assert (
        r'50\% of\_\{x\} \& y\textbackslash{}z \#1 \$2' in tex
        and r'A \& B: x\_{[}1]' in tex
        and '±' not in tex
    )
    for tabular in re.findall(r'\\toprule(.*?)\\bottomrule', tex, re.DOTALL):
        cells = {
            len(re.findall(r'(?<!\\)&', line))
            for line in tabular.splitlines()
            if line.endswith(r'\\')
        }
        assert cells == {4}
    if (
        not shutil.which('pdflatex')
        or subprocess.run(['kpsewhich', 'booktabs.sty'], capture_output=True).returncode
    ):
        pytest.skip('there is no LaTeX with booktabs to compile it')
    document = (
        r'\documentclass{article}\usepackage{booktabs}'
        r'\begin{document}\input{report/table}\end{document}'
    )
    (tmp_path / 'document.tex').write_text(document)
    done = subprocess.run(
        ['pdflatex', '-halt-on-error', '-interaction=nonstopmode', 'document'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize('variants', [('',), ('1 shot', '16 shots'), (SPECIAL_CHARACTERS, '$_$')])
def test_figure_is_an_image_with_the_colours_of_all_sources(tmp_path, variants):
    cells = {
        (tuner, dataset, variant): seeds(1.0, 2.0)
        for tuner in ('coop', 'mmrl')
        for dataset in ('dtd', 'ucf101')
        for variant in variants
    }
    write_report(work_dir(tmp_path, cells))
    with Image.open(tmp_path / 'report' / 'plot.png') as picture:
        width, height = picture.size
        assert picture.format == 'PNG' and 800 < width < 4000 and 300 < height < 4000
        colors = {color for _, color in picture.convert('RGB').getcolors(1 << 20)}
    assert {(0x66, 0x66, 0x66), (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)} <= colors


def test_figure_prefers_the_numbers_of_a_group_to_shared_ones(tmp_path):
    cells = {
        ('coop', 'dtd', variant): seeds(1.0, tuner=(tuner, 60.0))
        for variant, tuner in (('x', 50.0), ('', 40.0))
    }
    (block,) = accuracy_tables(read_work_dir(work_dir(tmp_path, cells)), 7)
    panels = dot_panels([block], ['coop'], 7)
    assert {row: cells['tuner'].value for row, cells in panels['base'].items()} == {
        'x': 50.0,
        'CoOp': 40.0,
    }
    assert {cells['zero_shot'].value for cells in panels['base'].values()} == {70.0}


def test_variants_that_differ_in_one_number_are_recognised():
    assert numeric_variants(['1 shot', '16 shots']) == ('shots', {'1 shot': 1, '16 shots': 16})
    assert numeric_variants(['lambda_d=0.5', 'lambda_d=1e-3']) == (
        'lambda_d',
        {'lambda_d=0.5': 0.5, 'lambda_d=1e-3': 1e-3},
    )
    assert (
        numeric_variants(['FDC width 16', 'gate width 16']) is None
        and numeric_variants(['']) is None
        and numeric_variants(['1 shot']) is None
    )
    assert numeric_variants(['FRG+FDC', 'PC only']) is None


def test_a_report_without_finished_runs_lists_the_missing_ones(tmp_path):
    missing = [('coop', 'dtd', '', 1), ('coop', 'dtd', '', 2)]
    text = write_report(work_dir(tmp_path, {('coop', 'dtd', ''): seeds(1.0, 2.0)}, missing=missing))
    assert '0 of 2 runs are done. Missing (2): coop_dtd/seed1, seed2.' in text and '|' not in text
    assert (tmp_path / 'report' / 'plot.png').is_file()


# ------------------------------------------------------------------ wrong input
def test_files_that_are_not_a_report_are_not_overwritten(tmp_path):
    work_dir(tmp_path, {('coop', 'dtd', ''): seeds(1.0)})
    out = tmp_path / 'notes'
    out.mkdir()
    (out / 'table.csv').write_text('mine')
    with pytest.raises(
        ValueError, match=r'table.csv does not belong to a report and would be overwritten'
    ):
        write_report(tmp_path, out)
    assert (out / 'table.csv').read_text() == 'mine' and len(list(out.iterdir())) == 1
    with pytest.raises(ValueError, match='protocol.json is a file: --out is a folder'):
        write_report(tmp_path, tmp_path / 'protocol.json')
    assert write_report(tmp_path) == write_report(tmp_path), 'a report can be written again'


@pytest.mark.parametrize(
    'file, content, message',
    [
        ('protocol.json', '{', r'protocol.json is not valid JSON.*: delete it'),
        ('protocol.json', '[]', 'protocol.json does not contain a JSON object'),
        (
            'protocol.json',
            '{"columns": []}',
            r"protocol.json does not have the format of tools/run_protocol.py .*'average'",
        ),
        (
            'protocol.json',
            '{"columns": [], "average": [], "title": "", "protocol": "", "runs": [{"tuner": "", '
            '"dataset": "", "variant": "", "seed": 1, "folder": "../other"}]}',
            r"'\.\./other' of a run is not below",
        ),
        (
            'coop_dtd/seed1/results.json',
            '{"tuner": {',
            'results.json is not valid JSON.*: delete it and start',
        ),
        (
            'coop_dtd/seed1/results.json',
            '{"tuner": {"base": "high"}}',
            'results.json is not .* with numbers: delete it',
        ),
        (
            'coop_dtd/seed1/results.json',
            '{"tuner": {"base": NaN, "new": 1}}',
            'results.json is not .* with numbers: delete it',
        ),
        (
            'coop_dtd/seed1/results.json',
            '{"tuner": {"base": 1}}',
            "has no column 'new', it has base: correct `columns`",
        ),
        (
            'coop_dtd/seed1/cost.json',
            '{"peak_memory_mb": "much"}',
            "cost.json: peak_memory_mb is 'much', not a number",
        ),
    ],
)
def test_the_error_names_an_invalid_file_and_the_remedy(tmp_path, file, content, message):
    work_dir(tmp_path, {('coop', 'dtd', ''): seeds(1.0)})
    (tmp_path / file).write_text(content)
    with pytest.raises(ValueError, match=message):
        write_report(tmp_path)
    assert not (tmp_path / 'report').exists()


def test_the_error_names_an_unknown_column(tmp_path):
    work_dir(tmp_path, {('coop', 'dtd', ''): seeds(1.0)}, columns=['base', 'news'])
    with pytest.raises(
        ValueError, match="no column 'news', it has base, new, h: correct `columns`"
    ):
        write_report(tmp_path)
    shutil.rmtree(tmp_path / 'coop_dtd')
    work_dir(tmp_path, {('coop', 'dtd', ''): seeds(1.0)}, average=['dtd'])
    with pytest.raises(ValueError, match="`average` names 'dtd', which is not one of `columns`"):
        write_report(tmp_path)
