"""A run that was killed and resumed ends with the bits of one that was not."""
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fvgpt.engine.random_state import random_state, set_random_state

from ..conftest import ROOT, run_tool


@given(st.integers(0, 2**32 - 1), st.integers(0, 5))
def test_all_generators_go_on_from_a_kept_state(seed, drawn):
    def draw():
        return random.random(), np.random.rand(), float(torch.rand(())), float(np.random.normal())
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    for _ in range(drawn):
        draw()
    state = random_state()
    expected = [draw() for _ in range(3)]
    set_random_state(state)
    assert [draw() for _ in range(3)] == expected


@pytest.fixture(scope='module')
def command(tmp_path_factory):
    data_root = tmp_path_factory.mktemp('data')
    few = [f'{part}.dataset.test_per_class=2' for part in ('train_dataloader', 'test_dataloader.0', 'test_dataloader.1')]

    def of(work_dir):
        return ['tools/train.py', 'configs/fvgpt/coop_fvg_quickstart.py', '--work-dir', str(work_dir), '--seed', '3',
                '--resume', '--cfg-options', f'data_root={data_root}', 'train_cfg.max_epochs=3', 'num_shots=4', *few]
    return of


def kill_when(arguments, folder, pattern, delay):
    """Start a command in a group of its own and kill all of it a moment after such a file has appeared."""
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               start_new_session=True)
    deadline = time.time() + 240
    while not list(folder.glob(pattern)) and process.poll() is None:
        assert time.time() < deadline
        time.sleep(.01)
    time.sleep(delay)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_killed_in_both_stages_a_run_ends_with_the_same_bits(command, tmp_path):
    whole = run_tool(*command(tmp_path / 'whole'))
    assert whole.returncode == 0, whole.stderr[-2000:]
    killed = command(tmp_path / 'killed')
    moments = random.Random(0)
    for folder, pattern in (('tuner', 'epoch_?.pth'), ('.', 'epoch_?.pth'), ('.', 'epoch_[23].pth')):
        kill_when(killed, tmp_path / 'killed' / folder, pattern, moments.uniform(0, .3))
    done = run_tool(*killed)
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ('epoch_3.pth', 'tuner/epoch_3.pth'):
        one, other = (torch.load(tmp_path / run / name, weights_only=True)['state_dict'] for run in ('whole', 'killed'))
        assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one), name
    results = [(tmp_path / run / 'results.json').read_text() for run in ('whole', 'killed')]
    assert results[0] == results[1]
