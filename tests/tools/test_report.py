"""tools/report.py as a user types it."""

import json

import pytest

from ..conftest import run_tool


@pytest.fixture
def work_dir(tmp_path):
    runs = [
        dict(tuner='coop', dataset='dtd', variant='', seed=seed, folder=f'coop_dtd/seed{seed}')
        for seed in (1, 2, 3)
    ]
    content = dict(
        protocol='base_to_new',
        title='Base-to-new',
        columns=['base', 'new', 'h'],
        average=[],
        runs=runs,
    )
    (tmp_path / 'protocol.json').write_text(json.dumps(content))
    for seed in (1, 2):
        folder = tmp_path / 'coop_dtd' / f'seed{seed}'
        folder.mkdir(parents=True)
        rows = {
            source: dict(base=70.0 + gain + seed, new=60.0)
            for gain, source in enumerate(('zero_shot', 'tuner', 'fvgpt'))
        }
        (folder / 'results.json').write_text(json.dumps(rows))
    return tmp_path


def test_tables_are_printed_and_written(work_dir, tmp_path):
    done = run_tool('tools/report.py', work_dir, '--out', tmp_path / 'out')
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'out' / 'table.md').read_text() in done.stdout
    assert '2 of 3 runs are done. Missing (1): coop_dtd/seed3.' in done.stdout
    assert '| CoOp + FVG-PT | 73.50 ± 0.71 | 60.00 ± 0.00 |' in done.stdout
    assert (
        done.stdout.endswith(f'written to {tmp_path / "out"}\n')
        and not (work_dir / 'report').exists()
    )
    assert len(list((tmp_path / 'out').iterdir())) == 4


def test_wrong_folders_are_one_line(work_dir):
    done = run_tool('tools/report.py', work_dir / 'coop_dtd')
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    assert (
        f'error: there is no {work_dir / "coop_dtd" / "protocol.json"}: '
        'the folder has to be a --work-dir' in done.stderr
    )
