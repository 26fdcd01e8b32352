"""tools/slurm_train.sh hands srun what Slurm and MMEngine's launcher need; srun stands for a command that prints its words."""
import os

import pytest

from ..conftest import run_tool


@pytest.fixture
def environment(tmp_path):
    (tmp_path / 'srun').write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@"')
    (tmp_path / 'srun').chmod(0o755)
    return dict(PATH=f'{tmp_path}{os.pathsep}{os.environ["PATH"]}')


@pytest.mark.parametrize('gpus, per_node', [('16', '8'), ('2', '2')])
def test_srun_starts_one_process_a_gpu(environment, gpus, per_node):
    done = run_tool('bash', 'tools/slurm_train.sh', 'gpu', 'my job', 'configs/x.py', '--seed', '2',
                    env=dict(environment, GPUS=gpus, SRUN_ARGS='--qos high --exclusive'))
    words = done.stdout.splitlines()
    assert words[:5] == ['--partition=gpu', '--job-name=my job', f'--gres=gpu:{per_node}', f'--ntasks={gpus}',
                         f'--ntasks-per-node={per_node}']
    assert words[-7:] == ['-u', 'tools/train.py', 'configs/x.py', '--launcher', 'slurm', '--seed', '2']
    assert '--kill-on-bad-exit=1' in words and words[7:10] == ['--qos', 'high', '--exclusive']


def test_too_few_words_give_the_usage(environment):
    done = run_tool('bash', 'tools/slurm_train.sh', 'gpu', env=environment)
    assert done.returncode == 2 and 'usage:' in done.stderr
