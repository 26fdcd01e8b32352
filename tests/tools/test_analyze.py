"""The analysis as a user runs it, on a shortened quickstart."""

import csv
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from fvgpt.analysis import analyze

from ..conftest import ROOT, run_tool

RECIPE, TUNER_RECIPE = 'configs/fvgpt/coop_fvg_quickstart.py', 'configs/fvgpt/coop_quickstart.py'
SOURCES = ['zero_shot', 'tuner', 'fvgpt']
VOID = {'meta', 'img', 'br', 'link', 'input', 'hr'}


class Page(HTMLParser):
    """Collects what a page loads, and finds tags that are not closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.words = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.sources += [attrs[key] for key in ('src', 'href') if key in attrs]
        assert tag != 'script'
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Work dir of a short run of both stages, and the options it ran with."""
    few = [f'{part}.dataset.test_per_class=3' for part in ('train_dataloader', 'test_dataloader')]
    options = [
        f'data_root={tmp_path_factory.mktemp("data")}',
        'num_shots=2',
        'train_cfg.max_epochs=1',
        *few,
    ]
    work_dir = tmp_path_factory.mktemp('run')
    done = run_tool(
        'tools/train.py', RECIPE, '--work-dir', work_dir, '--cfg-options', *options, timeout=900
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return work_dir, options


@pytest.fixture(scope='module')
def analysed(trained):
    """Folder and output of the analysis of all test images."""
    work_dir, options = trained
    done = run_tool('tools/analyze.py', RECIPE, work_dir / 'epoch_1.pth', '--cfg-options', *options)
    assert done.returncode == 0, done.stderr[-3000:]
    return work_dir / 'analysis', done.stdout


def rows(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def test_accuracies_are_those_of_the_evaluation(trained, analysed):
    results = json.loads((trained[0] / 'results.json').read_text())
    columns = json.loads((analysed[0] / 'summary.json').read_text())['columns']
    assert list(columns) == ['base', 'new']
    for name, column in columns.items():
        assert column['images'] == column['of'] == column['masks']['usable'] == 60
        for source in SOURCES:
            assert column[source]['accuracy'] == pytest.approx(results[source][name], abs=1e-3)
            assert 0 < column[source]['rollout']['mean'] < 1 and column[source]['shift']['mean'] > 0
            assert column[source]['rollout']['mean'] == column['zero_shot']['rollout']['mean'], (
                'CoOp leaves the tower alone'
            )
            assert source == 'zero_shot' or column[source]['rollout']['change'] == 0 < abs(
                column[source]['gradcam']['change']
            )
    assert 'foreground_gate' in columns['base'] and 'foreground_gate' not in columns['new']
    assert (
        'base: 60 images, 60 with a usable mask (0 missing, 0 empty); '
        f'{columns["base"]["fixed"]} fixed' in analysed[1]
    )


def test_tables_agree_with_the_summary(analysed):
    folder = analysed[0]
    columns = json.loads((folder / 'summary.json').read_text())['columns']
    samples = rows(folder / 'samples.csv')
    assert len(samples) == 120
    for name, column in columns.items():
        mine = [row for row in samples if row['column'] == name]
        for source in SOURCES:
            found = column[source]
            right = [row['label'] == row[f'{source}/pred'] for row in mine]
            assert 100 * np.mean(right) == pytest.approx(found['accuracy'])
            shift = [float(row[f'{source}/shift']) for row in mine]
            assert np.mean(shift) == pytest.approx(found['shift']['mean'], rel=1e-4)
        changes = [row['change'] for row in rows(folder / 'changed.csv') if row['column'] == name]
        assert [changes.count(kind) for kind in ('fixed', 'broken')] == [
            column['fixed'],
            column['broken'],
        ]
    for table, key in (('reliability.csv', 'images'), ('foreground_shift.csv', 'images')):
        assert sum(int(row[key]) for row in rows(folder / table)) == 3 * 120
    assert (
        len(rows(folder / 'attention.csv')) == 2 * 3 * 2 and len(rows(folder / 'classes.csv')) == 40
    )


def test_report_is_one_page_that_needs_nothing_else(analysed):
    file = analysed[0] / 'report.html'
    text = file.read_text()
    page = Page(text)
    assert not page.open and 10_000 < file.stat().st_size < 5_000_000
    assert page.sources and all(
        re.match('data:image/(png|jpeg);base64,', source) for source in page.sources
    )
    assert 'url(' not in text and '@import' not in text
    words = ' '.join(page.words)
    for said in (
        'Which map shows what',
        'What cannot be claimed',
        'CoOp + FVG-PT',
        'Calibration of the gates',
        'τ = 2.0',
    ):
        assert said in words


def test_figures_are_pictures_and_reach_the_visualizer(analysed):
    folder = analysed[0]
    for name in ('shift', 'attention', 'reliability', 'gates', 'classes_base', 'classes_new'):
        with Image.open(folder / f'{name}.png') as image:
            assert np.asarray(image.convert('L')).std() > 1
    [vis_data] = folder.glob('*/vis_data')
    scalars = json.loads((vis_data / 'scalars.json').read_text())
    columns = json.loads((folder / 'summary.json').read_text())['columns']
    assert scalars['base/fvgpt/shift/mean'] == columns['base']['fvgpt']['shift']['mean']
    assert (vis_data / 'vis_image' / 'attention_0.png').is_file()


def test_a_tuner_alone_few_images_training_split_and_no_masks(trained, tmp_path):
    work_dir, options = trained
    checkpoint = work_dir / 'tuner' / 'epoch_1.pth'
    out = tmp_path / 'out'
    for i, arguments in enumerate((['--split', 'train'], ['--no-masks'])):
        done = run_tool(
            'tools/analyze.py',
            TUNER_RECIPE,
            checkpoint,
            '--out',
            out,
            '--max-images',
            10,
            *arguments,
            '--cfg-options',
            *options,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        columns = json.loads((out / 'summary.json').read_text())['columns']
        assert (
            list(columns) == (['base', 'new'] if i else ['base'])
            and columns['base']['images'] == 10
        )
        assert columns['base']['of'] == (60 if i else 40)
        assert columns['base']['masks']['usable'] == (0 if i else 10)
        assert 'fvgpt' not in columns['base'] and columns['base']['tuner']['accuracy'] >= 0
        assert (out / 'attention.png').is_file() == (not i), 'what an earlier analysis left is gone'
        assert (
            'No image has a usable foreground mask' in (out / 'report.html').read_text()
        ) == bool(i)


def test_wrong_input_is_one_line(trained, tmp_path):
    work_dir, options = trained
    checkpoint = work_dir / 'tuner' / 'epoch_1.pth'
    done = run_tool(
        'tools/analyze.py', RECIPE, checkpoint, '--out', tmp_path / 'out', '--cfg-options', *options
    )
    assert (
        done.returncode == 1 and 'Traceback' not in done.stderr and not (tmp_path / 'out').exists()
    )
    assert (
        'is of CoOp, but configs/fvgpt/coop_fvg_quickstart.py is a recipe of FVGPT' in done.stderr
    )


@pytest.mark.parametrize(
    'checkpoint, wrong, message',
    [
        ('none.pth', {}, 'there is no checkpoint'),
        (
            'epoch_1.pth',
            dict(vis_backends=['Nothing']),
            "no visualizer backend 'Nothing'; choose from",
        ),
        ('epoch_1.pth', dict(max_images=0), '--max-images must be at least 1'),
        ('epoch_1.pth', dict(options=dict(data_root='/dev/null/nowhere')), 'nowhere'),
    ],
)
def test_wrong_input_is_found_before_anything_is_written(
    trained, tmp_path, checkpoint, wrong, message
):
    with pytest.raises((ValueError, OSError), match=message):
        analyze(str(ROOT / RECIPE), str(trained[0] / checkpoint), tmp_path / 'out', **wrong)
    assert not (tmp_path / 'out').exists()
