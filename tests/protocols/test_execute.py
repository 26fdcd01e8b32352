"""Execution of the runs of a protocol: order, skipping, failures, kills, and Slurm."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from mmengine.config import Config

from fvgpt.engine.runner.run_lock import claimed
from fvgpt.protocols.execute import LOG, LocalExecutor, SlurmExecutor, execute, make_runs
from fvgpt.protocols.plan import Run

# Replaces tools/train.py: it records each call, fails if told to, and writes the product.
TRAIN = """
import pathlib, runpy, sys, time
recipe, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[3])
settings = runpy.run_path(str(recipe))
start = time.monotonic()
time.sleep(settings.get('seconds', 0))
(folder / 'span.txt').write_text(f'{start} {time.monotonic()}')
with open(folder / 'calls.txt', 'a') as file:
    print(*sys.argv[4:], file=file)
if pathlib.Path(settings['broken']).exists() and 'stage1' not in str(folder):
    sys.exit('error: planted')
(folder / ('epoch_1.pth' if '--no-test' in sys.argv else 'results.json')).write_text('{}')
"""


@pytest.fixture
def train(tmp_path):
    path = tmp_path / 'train.py'
    path.write_text(TRAIN)
    return path


def three_runs(tmp_path, **settings):
    """One run of a tuner, and two runs of FVG-PT on it."""
    config = Config(dict(broken=str(tmp_path / 'broken'), **settings))
    folder = tmp_path / 'stage1'
    tuner = Run('coop', config, 1, folder, folder / 'epoch_1.pth')
    labels = dict(tuner='coop', dataset='quickstart', variant='')
    runs = [
        tuner,
        *(
            Run(
                name, config, 1, tmp_path / name, tmp_path / name / 'results.json', labels, (tuner,)
            )
            for name in 'ab'
        ),
    ]
    for run in runs:
        run.prepare()
    return runs


def calls(run):
    path = run.folder / 'calls.txt'
    return path.read_text().splitlines() if path.exists() else []


def test_each_run_is_executed_once_and_after_the_one_that_it_needs(tmp_path, train, capsys):
    runs = three_runs(tmp_path)
    for _ in range(2):
        assert make_runs(runs, LocalExecutor(train, jobs=2).submit) == []
    assert [len(calls(run)) for run in runs] == [1, 1, 1]
    assert '--no-test' in calls(runs[0])[0] and '--no-test' not in calls(runs[1])[0]
    assert '--resume' in calls(runs[1])[0]
    out = capsys.readouterr().out
    assert out.index('coop: done') < out.index('a: done') and '3 of 3 runs are done already' in out
    assert out.startswith(f'3 runs to do, the first is coop; its log is {runs[0].folder / LOG}\n')
    assert out.count('to do') == 1


def test_failures_are_reported_and_repeated_by_the_next_call(tmp_path, train, capsys):
    runs = three_runs(tmp_path)
    (tmp_path / 'broken').touch()
    failures = make_runs(runs, LocalExecutor(train, jobs=1).submit)
    assert len(failures) == 2 and all('error: planted' in failure for failure in failures)
    assert str(tmp_path / 'a' / 'log.txt') in capsys.readouterr().out
    (tmp_path / 'broken').unlink()
    assert make_runs(runs, LocalExecutor(train, jobs=1).submit) == []
    assert [len(calls(run)) for run in runs] == [1, 2, 2]


def test_if_a_tuner_fails_the_runs_that_need_it_fail(tmp_path, train):
    runs = three_runs(tmp_path)
    train.write_text("raise SystemExit('error: no weights')")
    failures = make_runs(runs, LocalExecutor(train, jobs=2).submit)
    assert len(failures) == 3 and 'no weights' in failures[0]
    assert all('its tuner failed' in failure for failure in failures[1:])


def test_a_run_waits_for_all_that_it_needs_and_fails_once(tmp_path, train):
    """As FVG-PT on a tuner and the tuners of the folds."""
    tuner, run, _ = three_runs(tmp_path)
    fold = replace(tuner, folder=tmp_path / 'fold', product=tmp_path / 'fold' / 'epoch_1.pth')
    run = replace(run, needs=(tuner, fold))
    fold.prepare()
    broken = train.read_text()
    train.write_text("import sys\nif 'fold' in sys.argv[3]: sys.exit('error: planted')\n" + broken)
    (failed, follower) = make_runs([tuner, fold, run], LocalExecutor(train, jobs=2).submit)
    assert 'planted' in failed and f'its tuner failed: {fold.folder}' in follower
    train.write_text(broken)
    assert make_runs([tuner, fold, run], LocalExecutor(train, jobs=2).submit) == []
    assert [len(calls(one)) for one in (tuner, fold, run)] == [1, 1, 1]


def test_it_waits_for_a_process_whose_parent_was_killed(tmp_path, train):
    """The first call was killed, its training runs on; the second waits until the run is done."""
    run = three_runs(tmp_path)[0]
    holder = subprocess.Popen(
        [
            sys.executable,
            '-c',
            f"""
import time
from fvgpt.engine.runner.run_lock import claimed
with claimed({str(run.folder)!r}):
    print('ready', flush=True)
    time.sleep(1)
    open({str(run.product)!r}, 'w').close()
""",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    while 'ready' not in holder.stdout.readline():
        pass
    with pytest.raises(ValueError, match='another run is at work in'), claimed(str(run.folder)):
        pass
    assert execute(run, train) is None
    assert calls(run) == [] and run.product.is_file()
    holder.wait()


def test_the_folder_of_a_killed_process_is_free(tmp_path):
    code = f"""
import time
from fvgpt.engine.runner.run_lock import claimed
with claimed({str(tmp_path)!r}):
    print('ready', flush=True)
    time.sleep(60)
"""
    holder = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True)
    while 'ready' not in holder.stdout.readline():
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with claimed(str(tmp_path)):
        pass


# ------------------------------------------------------------------ Slurm: its commands, replaced
SLURM = {
    'sbatch': '''
        id=$$; here=$(dirname "$0")
        SLURM_JOB_ID=$id SLURM_JOBID=$id SLURM_JOB_NUM_NODES=1 SLURM_JOB_NODELIST=node \\
            SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0 SLURM_NTASKS=1 \\
            setsid bash "$1" > "$here/job_$id.out" 2>&1 < /dev/null &
        cp "$1" "$here/submission_$id.sh"
        echo "Submitted batch job $id"''',
    'srun': '''
        while [ $# -gt 0 ]; do
            case "$1" in --unbuffered) shift;; --output|--error) shift 2;; *) break;; esac
        done
        exec "$@"''',
    'sacct': """
        echo 'JobID|State|NodeList'
        for file in "$(dirname "$0")"/job_*.out; do name=${file##*/job_}; echo
        "${name%.out}|RUNNING|node"; done""",
    'scancel': 'exit 0',
}


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    pytest.importorskip('submitit', reason='submitit is not installed')
    folder = tmp_path / 'bin'
    folder.mkdir()
    for name, text in SLURM.items():
        (folder / name).write_text('#!/usr/bin/env bash\n' + text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv('PATH', f'{folder}{os.pathsep}{os.environ["PATH"]}')
    return folder


def test_runs_are_submitted_to_slurm_and_failures_reported(tmp_path, train, slurm):
    runs = three_runs(tmp_path)
    executor = SlurmExecutor(train, tmp_path / 'slurm', dict(slurm_partition='gpu', timeout_min=10))
    assert make_runs(runs[:2], executor.submit) == []
    assert [len(calls(run)) for run in runs] == [1, 1, 0]
    submission = next(slurm.glob('submission_*.sh')).read_text()
    assert (
        '--partition=gpu' in submission
        and '--time=10' in submission
        and '--gpus-per-node=1' in submission
    )
    (tmp_path / 'broken').touch()
    (failure,) = make_runs(runs[2:], executor.submit)
    assert 'error: planted' in failure


def test_the_error_names_an_invalid_slurm_option(tmp_path, train, slurm, monkeypatch):
    with pytest.raises(ValueError, match='--executor slurm: .*partitoin'):
        SlurmExecutor(train, tmp_path / 'slurm', dict(slurm_partitoin='gpu'))
    monkeypatch.setenv('PATH', str(Path(sys.executable).parent))
    with pytest.raises(ValueError, match='--executor slurm: .*srun'):
        SlurmExecutor(train, tmp_path / 'slurm', {})


def test_slots_divide_the_gpus(tmp_path, train, monkeypatch):
    monkeypatch.setattr('torch.cuda.device_count', lambda: 2)
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '3,5')
    executor = LocalExecutor(train)
    assert (
        sorted(executor.slots.get()['CUDA_VISIBLE_DEVICES'] for _ in range(2)) == ['3', '5']
        and executor.slots.empty()
    )
    seen = tmp_path / 'seen.txt'
    train.write_text(
        f"import os\nopen({str(seen)!r}, 'a').write(os.environ['CUDA_VISIBLE_DEVICES'])"
    )
    execute(three_runs(tmp_path)[0], train, dict(CUDA_VISIBLE_DEVICES='7'))
    assert seen.read_text() == '7'


def test_slots_divide_the_cores_that_the_container_has(train, monkeypatch):
    monkeypatch.setattr('torch.cuda.device_count', lambda: 0)
    monkeypatch.setattr('os.cpu_count', lambda: 64)
    monkeypatch.setattr('os.sched_getaffinity', lambda pid: range(4), raising=False)
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    for jobs, threads in ((1, '4'), (2, '2'), (8, '1')):
        executor = LocalExecutor(train, jobs)
        assert executor.slots.get()['OMP_NUM_THREADS'] == threads


@pytest.mark.parametrize('jobs', [1, 2])
def test_never_more_runs_at_a_time_than_jobs(tmp_path, train, jobs):
    runs = three_runs(tmp_path, seconds=0.3)
    assert make_runs(runs, LocalExecutor(train, jobs).submit) == []
    tuner, a, b = (
        [float(t) for t in (run.folder / 'span.txt').read_text().split()] for run in runs
    )
    assert tuner[1] <= min(a[0], b[0])
    assert jobs > 1 or a[1] <= b[0] or b[1] <= a[0]
