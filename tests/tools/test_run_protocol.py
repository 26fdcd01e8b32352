"""A protocol from the command line, on the embedded image set: killed, taken up again, reported."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from fvgpt.evaluation import read_outcomes

from ..conftest import ROOT, run_tool


@pytest.fixture(scope='module')
def arguments(tmp_path_factory):
    """One tuner, one seed, two epochs, few images; tests on the base and new halves and on both."""
    root = tmp_path_factory.mktemp('protocol')
    few = [f'{part}.dataset.test_per_class=2' for part in ('train_dataloader', 'test_dataloader')]
    return root / 'work', [
        'tools/run_protocol.py',
        'configs/protocols/open_world.py',
        '--tuners',
        'coop',
        '--datasets',
        'quickstart',
        '--seeds',
        '1',
        '--work-dir',
        str(root / 'work'),
        '--cfg-options',
        f'data_root={root}/data',
        'train_cfg.max_epochs=2',
        'num_shots=1',
        *few,
    ]


def test_a_killed_protocol_goes_on_and_ends_with_its_tables(arguments):
    work_dir, command = arguments
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.time() + 240
    while not list(
        work_dir.glob('tuners/*/seed1/epoch_2.pth')
    ):  # the first stage is done, the second has not ended
        assert process.poll() is None and time.time() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (tuner,) = work_dir.glob('tuners/*/seed1/epoch_2.pth')
    made = tuner.stat().st_mtime_ns

    done = run_tool(*command)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert '1 of 2 runs are done already' in done.stdout and tuner.stat().st_mtime_ns == made
    results = json.loads((work_dir / 'coop_quickstart' / 'seed1' / 'results.json').read_text())
    columns = {'base', 'new', 'h', 'open', 'open_base', 'open_new', 'open_h'}
    assert set(results) == {'zero_shot', 'tuner', 'fvgpt'} and all(
        set(row) == columns for row in results.values()
    )
    for source, row in results.items():
        assert row['open'] == pytest.approx(
            (row['open_base'] + row['open_new']) / 2, abs=1e-3
        )  # halves of one size
        assert (
            row['open_base'] <= row['base']
        )  # more classes to choose from, the same ranking among the base ones
        assert source == 'fvgpt' or row['open_new'] <= row['new']
    table = (work_dir / 'report' / 'table.md').read_text()
    assert f'{results["fvgpt"]["open"]:.2f}' in table and table.strip() in done.stdout
    assert {file.name for file in (work_dir / 'report').iterdir()} >= {
        'table.md',
        'table.csv',
        'table.tex',
        'plot.png',
    }
    cost = json.loads((work_dir / 'coop_quickstart' / 'seed1' / 'cost.json').read_text())
    assert (
        cost['trainable_parameters'] == 33_474
        and cost['tuning_images_per_second'] > 0
        and cost['peak_memory_mb'] > 0
    )

    again = run_tool(*command)
    assert again.returncode == 0 and '2 of 2 runs are done already' in again.stdout


@pytest.mark.parametrize(
    'change, message',
    [
        (['--datasets', 'caltech101'], 'does not exist: data_root must be'),
        (['--tuners', 'copo'], "for the tuner 'copo'"),
        (['--executor', 'slurm'], 'error: --executor slurm'),
    ],
)
def test_wrong_input_is_one_line_before_anything_runs(tmp_path, change, message):
    done = run_tool(
        'tools/run_protocol.py',
        'configs/protocols/base_to_new.py',
        '--tuners',
        'coop',
        '--datasets',
        'quickstart',
        '--work-dir',
        tmp_path / 'work',
        *change,
        '--cfg-options',
        'data_root=/nowhere/at/all',
    )
    assert done.returncode == 1 and message in done.stderr and 'Traceback' not in done.stderr
    assert not list((tmp_path / 'work').rglob('log.txt'))


def test_the_controls_answer_what_the_foreground_is_worth(tmp_path):
    """Two of the variants, one epoch, two images per class: the sentence, with views and D_fg."""
    protocol = tmp_path / 'controls.py'
    protocol.write_text(
        f'_base_ = {str(ROOT / "configs" / "protocols" / "foreground_controls.py")!r}\n'
        f'recipe = {str(ROOT / "configs" / "fvgpt" / "coop_fvg_quickstart.py")!r}\n'
        "_mask_of = 'train_dataloader.dataset.mask_of'\n"
        "variants = dict(_delete_=True, **{'true masks': {}, 'masks of other images': "
        "dict(stage2={_mask_of: 'shuffled'})})\n"
        'compare = _base_.compare[:2]\n'
        "evaluate = dict(_delete_=True, base=dict(subset='base'), **{f'base_{view}': "
        "dict(subset='base', view=view) for view in ('foreground', 'exchanged')})\n"
        "columns = ['base', 'base_foreground', 'base_exchanged', 'base_foreground_shift']\n"
    )
    few = [f'{part}.dataset.test_per_class=2' for part in ('train_dataloader', 'test_dataloader')]
    work_dir = tmp_path / 'work'
    options = [f'data_root={tmp_path}/data', 'train_cfg.max_epochs=1', 'num_shots=2', *few]
    done = run_tool(
        'tools/run_protocol.py',
        protocol,
        '--seeds',
        '1',
        '--work-dir',
        work_dir,
        '--cfg-options',
        *options,
        f'feature_cache.cache_dir={tmp_path}/features',
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    answer = (
        r'The foreground is worth [+-]\d+\.\d\d ± \d+\.\d\d points on your data \(base: CoOp \+ '
        r'FVG-PT, true masks, minus masks of other images; 1 seed, 40 test images, 95 % interval\)'
    )
    assert re.search(answer, done.stdout) and 'points over CoOp on your data' in done.stdout
    folder = work_dir / 'coop_quickstart' / 'masks_of_other_images' / 'seed1'
    results = json.loads((folder / 'results.json').read_text())
    outcomes = read_outcomes(folder / 'outcomes.npz')
    assert set(outcomes) == {'base', 'base_foreground', 'base_exchanged'}
    for column, outcome in outcomes.items():
        assert outcome.images[0].startswith('quickstart_world/images/')
        for source, correct in outcome.correct.items():
            assert results[source][column] == pytest.approx(100 * correct.mean(), abs=1e-3)
    assert all(row['base_foreground_shift'] > 0 for row in results.values())
