"""The commands of the guide "Launchers" run, with fewer processes and on the CPU; srun and scontrol
are replaced."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ..conftest import ROOT, free_port, run_tool

GUIDE = (ROOT / 'docs' / 'launchers.md').read_text(encoding='utf-8')
BLOCKS = re.findall(r'```bash\n(.*?)```', GUIDE, re.S)
RECIPE = 'configs/fvgpt/coop_fvg_quickstart.py'
TINY = f"""
_base_ = {str(ROOT / 'configs/fvgpt/coop_quickstart.py')!r}
custom_imports = dict(imports=['fvgpt', 'tests.kill_switch'])
num_shots = 1
train_cfg = dict(max_epochs=2)
train_dataloader = dict(batch_size=2, dataset=dict(test_per_class=1))
test_dataloader = dict(dataset=dict(test_per_class=1))
"""
# Starts processes as Slurm does on two nodes: with its variables, and, if the option is given, one
# that fails ends all.
SRUN = r"""#!/usr/bin/env bash
printf '%s\n' "$@" > "$SRUN_WORDS"
while [[ $1 == -* ]]; do
    case $1 in
        --ntasks=*) tasks=${1#*=} ;;
        --ntasks-per-node=*) per_node=${1#*=} ;;
        --kill-on-bad-exit=1) kill_all=1 ;;
    esac
    shift
done
for ((i = 0; i < tasks; i++)); do
    SLURM_PROCID=$i SLURM_LOCALID=$((i % per_node)) SLURM_NTASKS=$tasks \
        SLURM_NODELIST='node[1-2]' "$@" &
done
for ((i = 0; i < tasks; i++)); do
    wait -n || { status=$?; [ -z "$kill_all" ] || kill -9 $(jobs -p) 2> /dev/null; }
done
exit "${status:-0}"
"""
SCONTROL = """#!/usr/bin/env bash
[ "$*" = 'show hostnames node[1-2]' ] && printf '127.0.0.1\\n127.0.0.2\\n'
"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Where a user types, with a recipe of few steps, and srun and scontrol in bin/."""
    folder = tmp_path_factory.mktemp('launchers')
    (folder / 'tools').symlink_to(ROOT / 'tools')
    (folder / 'tiny.py').write_text(TINY)
    (folder / 'bin').mkdir()
    for name, text in (('srun', SRUN), ('scontrol', SCONTROL)):
        (folder / 'bin' / name).write_text(text)
        (folder / 'bin' / name).chmod(0o755)
    return folder


def blocks(*words: str) -> list:
    """The guide's commands with these words (``!word``: without it)."""
    found = [
        block
        for block in BLOCKS
        if all((word[1:] not in block) if word[0] == '!' else word in block for word in words)
    ]
    assert found, words
    return found


def small(command: str, processes: int, work_dir: str) -> str:
    """A command of the guide, with the tiny recipe and so many processes in place of its GPUs."""
    assert RECIPE in command
    command = command.replace('work_dirs/coop_fvg_quickstart/', 'work_dirs/one/').replace(
        'epoch_10', 'epoch_2'
    )
    command = re.sub(rf'({RECIPE}(?: \S+\.pth)?) [24]\b', rf'\1 {processes}', command)
    command = re.sub(r'\bGPUS=\d GPUS_PER_NODE=\d|\bGPUS=\d', f'GPUS={processes}', command).replace(
        RECIPE, 'tiny.py'
    )
    command = re.sub(r' --cfg-options train_dataloader.batch_size=\d', '', command)
    command = command.replace('work_dirs/slurm', f'work_dirs/{work_dir}')
    return (
        command
        if f'work_dirs/{work_dir}' in command
        else f'{command.rstrip()} --work-dir work_dirs/{work_dir}\n'
    )


def started(folder: Path, command: str, port: int, **env: str) -> subprocess.Popen:
    # Single threads, as torchrun gives to several processes of a node but not to a single one
    command = re.sub(r'node0:\d+', f'127.0.0.1:{port}', command).replace('=node0', '=127.0.0.1')
    command = command.replace('PORT=29500', f'PORT={port}')
    path = os.pathsep.join(
        [str(folder / 'bin'), str(Path(sys.executable).parent), os.environ['PATH']]
    )
    env = dict(
        os.environ,
        PATH=path,
        PYTHONPATH=str(ROOT),
        OMP_NUM_THREADS='1',
        PORT=str(port),
        SRUN_WORDS=str(folder / 'words'),
        **env,
    )
    return subprocess.Popen(
        ['bash', '-euc', command],
        cwd=folder,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def run(folder: Path, *commands: str, code: int = 0, **env: str) -> str:
    """Run commands side by side; their output."""
    port = free_port()
    processes = [started(folder, command, port, **env) for command in commands]
    try:
        outputs = [process.communicate(timeout=240)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert all((process.returncode == 0) is (code == 0) for process in processes), '\n'.join(
        o[-3000:] for o in outputs
    )
    return '\n'.join(outputs)


def trained(folder: Path, name: str) -> dict:
    return torch.load(folder / 'work_dirs' / name / 'epoch_2.pth', weights_only=True)['state_dict']


@pytest.fixture(scope='module')
def one(folder):
    """What two processes of one node trained."""
    (command,) = blocks('CUDA_VISIBLE_DEVICES= ')
    run(folder, small(command, 2, 'one'))
    return trained(folder, 'one')


@pytest.fixture(scope='module')
def killed(folder, one):
    """Work dir of a run of two processes under srun whose first process was killed while it wrote
    the checkpoint of the second epoch."""
    (command,) = blocks('slurm_train', '!--resume')
    run(folder, small(command, 2, 'killed'), code=1, FVGPT_KILL_AT='epoch_2.pth')
    words = (folder / 'words').read_text().splitlines()
    assert words[:5] == [
        '--partition=gpu',
        '--job-name=fvgpt',
        '--gres=gpu:2',
        '--ntasks=2',
        '--ntasks-per-node=2',
    ]
    assert words[5:9] == ['--cpus-per-task=5', '--kill-on-bad-exit=1', '--time=600', '--exclusive']
    assert not (folder / 'work_dirs' / 'killed' / 'epoch_2.pth').exists()
    return folder / 'work_dirs' / 'killed'


def assert_same_bits(folder, name, one):
    state = trained(folder, name)
    assert (
        one and state.keys() == one.keys() and all(torch.equal(state[key], one[key]) for key in one)
    )


def test_two_nodes_train_as_two_processes_of_one(folder, one):
    commands = blocks('NODE_RANK')
    assert len(commands) == 2
    run(folder, *(small(command, 1, 'nodes') for command in commands))
    assert_same_bits(folder, 'nodes', one)


@pytest.mark.parametrize(
    'words, nodes', [(['slurm_train'], 1), (['RDZV_ENDPOINT'], 2), (['dist_train', '!NNODES'], 1)]
)
def test_a_killed_run_goes_on_under_every_launcher(folder, killed, one, words, nodes):
    (command,) = blocks('--resume', *words)
    name = f'resumed_{words[0]}'
    shutil.copytree(killed, folder / 'work_dirs' / name)
    output = run(folder, *[small(command, 2 // nodes, name)] * nodes)
    assert 'Epoch(train) [2]' in output and 'Epoch(train) [1]' not in output
    assert_same_bits(folder, name, one)


@pytest.mark.parametrize('words', [['dist_test'], ['slurm_test']])
def test_a_checkpoint_is_tested(folder, one, words):
    (command,) = blocks(*words)
    shutil.copytree(folder / 'work_dirs' / 'one', folder / 'work_dirs' / words[0])
    (folder / 'work_dirs' / words[0] / 'results.json').unlink()
    run(folder, small(command, 1, words[0]))
    results = [
        (folder / 'work_dirs' / name / 'results.json').read_text() for name in ('one', words[0])
    ]
    assert results[0] == results[1]


def test_every_command_of_the_guide_is_tried_here_or_is_one_word_more():
    tried = [
        blocks('CUDA_VISIBLE_DEVICES= '),
        blocks('NODE_RANK'),
        blocks('slurm_'),
        blocks('--resume'),
        blocks('dist_test'),
    ]
    others = [block for block in BLOCKS if not any(block in found for found in tried)]
    assert [re.sub(' --resume', '', block) for block in others] == [
        f'python tools/train.py {RECIPE}\n',  # tests/tools/test_commands.py
        f'bash tools/dist_train.sh {RECIPE} 4 --cfg-options train_dataloader.batch_size=1\n',
        f'NNODES=2 RDZV_ENDPOINT=node0:29400 bash tools/dist_train.sh {RECIPE} 4\n',
    ]


@pytest.mark.parametrize(
    'command, env, message',
    [
        ('dist_train', {}, 'usage: tools/dist_train.sh CONFIG GPUS [options]'),
        ('dist_test tiny.py 2', {}, 'usage: tools/dist_test.sh CONFIG CHECKPOINT GPUS [options]'),
        (
            'slurm_train gpu job',
            {},
            'usage: tools/slurm_train.sh PARTITION JOB_NAME CONFIG [WORK_DIR] [options]',
        ),
        (
            'slurm_test gpu job tiny.py',
            {},
            'usage: tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options]',
        ),
        ('dist_train none.py 2', {}, 'error: there is no config none.py'),
        ('dist_train 2 tiny.py', {}, 'error: there is no config 2'),
        ('dist_train tiny.py two', {}, "error: GPUS must be a whole number from 1 on, not 'two'"),
        ('dist_train tiny.py 0', {}, "error: GPUS must be a whole number from 1 on, not '0'"),
        (
            'dist_train tiny.py 2',
            dict(NNODES='2'),
            'error: NNODES is 2: set MASTER_ADDR to the address of node 0, on all nodes',
        ),
        (
            'dist_train tiny.py 2',
            dict(NNODES='2', NODE_RANK='2'),
            'error: NODE_RANK must be below NNODES, 2, not 2',
        ),
        (
            'dist_train tiny.py 2',
            dict(PORT='x'),
            "error: PORT must be a whole number from 1 on, not 'x'",
        ),
        ('dist_test tiny.py none.pth 2', {}, 'error: there is no checkpoint none.pth'),
        ('slurm_test gpu job tiny.py none.pth', {}, 'error: there is no checkpoint none.pth'),
        (
            'slurm_train gpu job tiny.py',
            dict(GPUS_PER_NODE='x'),
            "error: GPUS_PER_NODE must be a whole number from 1 on, not 'x'",
        ),
        (
            'slurm_train gpu job tiny.py',
            {},
            'error: srun is not in PATH; Slurm starts these runs (without it: tools/dist_*.sh)',
        ),
    ],
)
def test_wrong_use_is_one_line_before_anything_starts(folder, command, env, message):
    script, *words = command.split()
    bare = folder / 'bare'  # a PATH without srun
    bare.mkdir(exist_ok=True)
    for name in ('bash', 'dirname'):
        if not (bare / name).exists():
            (bare / name).symlink_to(shutil.which(name))
    done = run_tool(
        'bash',
        f'tools/{script}.sh',
        *words,
        cwd=folder,
        env=dict(env, PATH=str(bare), PYTHON='/nowhere/python'),
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, '', f'{message}\n')


@pytest.mark.parametrize(
    'words, options',
    [
        (['dir'], ['--work-dir', 'dir']),
        ([], []),
        (['dir', '--seed', '2'], ['--work-dir', 'dir', '--seed', '2']),
        (['--seed', '2'], ['--seed', '2']),
    ],
)
def test_the_work_dir_of_slurm_train_may_be_left_out(folder, words, options):
    path = f'{folder / "bin"}{os.pathsep}{os.environ["PATH"]}'
    env = dict(PATH=path, GPUS='12', PYTHON='true', SRUN_WORDS=str(folder / 'words'))
    done = run_tool(
        'bash', 'tools/slurm_train.sh', 'gpu', 'my job', 'tiny.py', *words, cwd=folder, env=env
    )
    assert done.returncode == 0, done.stderr
    given = (folder / 'words').read_text().splitlines()
    assert given[:5] == [
        '--partition=gpu',
        '--job-name=my job',
        '--gres=gpu:8',
        '--ntasks=12',
        '--ntasks-per-node=8',
    ]
    assert given[7:] == ['true', '-u', 'tools/train.py', 'tiny.py', *options, '--launcher', 'slurm']
