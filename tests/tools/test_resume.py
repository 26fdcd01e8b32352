"""A run that was killed and resumed ends with the bits of one that was not."""

import json
import random

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from fvgpt.engine.hooks.random_state import random_state, set_random_state

from ..conftest import run_tool
from ..resume_soak import Setting, soak


@given(st.integers(0, 2**32 - 1), st.integers(0, 5))
def test_all_generators_continue_from_a_saved_state(seed, drawn):
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


def test_killed_while_it_writes_a_run_ends_with_the_same_bits(tmp_path):
    """Killed in stage 1 and in stage 2; tests/resume_soak.py also kills at random times, and kills
    several processes."""
    stages = {'epoch_2.pth': 'tuner', 'last_checkpoint': ''}
    assert not soak(
        Setting(processes=1, workers=1, cached=False), 2, tmp_path / 'runs', stages=stages
    )
    run = tmp_path / 'runs' / 'killed_0'
    assert sorted(file.name for file in run.glob('*.pth')) == ['epoch_2.pth', 'epoch_3.pth']
    record = json.loads((run / 'run.json').read_text())
    assert (
        record['train']['seed'] == 3
        and len(record['train']['split']) == 64
        and set(record) == {'train', 'test'}
    )
    assert (
        record['train']['config']['train_cfg']['max_epochs'] == 3
        and record['train']['versions']['torch']
    )


def test_a_run_with_other_settings_or_data_is_not_resumed(tmp_path):
    options = [
        f'data_root={tmp_path / "data"}',
        'train_cfg.max_epochs=1',
        'num_shots=1',
        *(f'{part}_dataloader.dataset.test_per_class=2' for part in ('train', 'test')),
    ]
    command = [
        'tools/train.py',
        'configs/fvgpt/coop_quickstart.py',
        '--work-dir',
        tmp_path / 'run',
        '--no-test',
        '--resume',
        '--cfg-options',
        *options,
    ]
    done = run_tool(*command)
    assert done.returncode == 0, done.stderr[-2000:]
    done = run_tool(*command, 'optim_wrapper.optimizer.lr=1.0', 'train_dataloader.num_workers=1')
    assert done.returncode == 1
    assert 'epoch_1.pth was trained with other settings' in done.stderr
    assert (
        'optim_wrapper.optimizer.lr was 0.0035, is 1.0. Choose' in done.stderr
    )  # workers do not matter
    split = next((tmp_path / 'data').rglob('split_*.json'))
    lists = json.loads(split.read_text())
    lists['train'].reverse()
    split.write_text(json.dumps(lists))
    done = run_tool(*command)
    assert done.returncode == 1 and 'its list of training images changed' in done.stderr, (
        done.stderr[-2000:]
    )
