"""Kill runs again and again, with --resume in between, and compare what they end with bit by bit.

    python -m tests.resume_soak --kills 50

Runs train both stages of the quickstart, shortened, with one and with two processes, with and
without loader workers, with and without cached features. Half of the kills come at a random time
and end all processes at once; the others come in the middle of writing a checkpoint,
``last_checkpoint``, a file of the feature cache, ``results.json`` or another file. A finished run
is compared with one that was never killed: trained parameters of both stages and results must be
equal, otherwise the exit code is 1.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

import torch

from .conftest import ROOT, free_port

EPOCHS = 3
FILES = [
    'epoch_1.pth',
    'epoch_2.pth',
    'epoch_3.pth',
    'last_checkpoint',
    '.npy',
    'results.json',
    'run.json',
    'cost.json',
]
LONGEST = 600  # seconds


class Setting(NamedTuple):
    """A kind of run: processes, loader workers of each, whether features are cached, and the number
    of folds (0: none)."""

    processes: int
    workers: int
    cached: bool
    folds: int = 0

    def command(self, data_root: Path, work_dir: Path) -> List[str]:
        start = (
            ['bash', 'tools/dist_train.sh']
            if self.processes > 1
            else [sys.executable, 'tools/train.py']
        )
        few = [
            f'{part}.dataset.test_per_class=2' for part in ('train_dataloader', 'test_dataloader')
        ]
        workers = [
            f'train_dataloader.num_workers={self.workers}',
            f'train_dataloader.persistent_workers={self.workers > 0}',
        ]
        cache = [f'feature_cache.cache_dir={work_dir / "cache"}'] if self.cached else []
        return [
            *start,
            'configs/fvgpt/coop_fvg_quickstart.py',
            *([str(self.processes)] if self.processes > 1 else []),
            '--work-dir',
            str(work_dir),
            '--seed',
            '3',
            '--resume',
            '--cfg-options',
            f'data_root={data_root}',
            f'train_cfg.max_epochs={EPOCHS}',
            'num_shots=4',
            f'train_dataloader.batch_size={4 // self.processes}',
            'custom_imports.imports=[fvgpt,tests.kill_switch]',
            *few,
            *workers,
            *cache,
            *([f'model.calibration_folds={self.folds}'] if self.folds else []),
        ]


def start(command: List[str], **env: str) -> subprocess.Popen:
    env = dict(
        os.environ,
        PYTHON=sys.executable,
        PYTHONPATH=str(ROOT),
        OMP_NUM_THREADS='1',
        PORT=str(free_port()),
        **env,
    )
    return subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def kill_tree(pid: int) -> None:
    """Kill a process and all its descendants, parents first so that none of them can clean up."""
    children = Path(f'/proc/{pid}/task/{pid}/children')
    below = [int(child) for child in children.read_text().split()] if children.exists() else []
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    for child in below:
        kill_tree(child)


def finish(command: List[str]) -> None:
    """Run a command to its end.

    Raises:
        RuntimeError: the command failed; the message contains the end of its output.
    """
    process = start(command)
    output = process.communicate(timeout=LONGEST)[0]
    if process.returncode:
        raise RuntimeError(f'a run failed with exit code {process.returncode}:\n{output[-4000:]}')


def killed(
    command: List[str], work_dir: Path, file: Optional[str], stage: str, seconds: float
) -> bool:
    """Run a command and kill it; False if it ended before that.

    Args:
        file, stage: kill while it writes this file in ``work_dir/stage``.
        seconds: kill after this time, if there is no ``file``.

    Raises:
        RuntimeError: the run failed without being killed.
    """
    where = (
        {}
        if file is None
        else dict(FVGPT_KILL_AT=file, FVGPT_KILL_IN='' if file == '.npy' else str(work_dir / stage))
    )
    process = start(command, **where)
    try:
        output = process.communicate(timeout=LONGEST if file else seconds)[0]
    except subprocess.TimeoutExpired:
        kill_tree(process.pid)
        process.communicate()
        return True
    if process.returncode and 'SIGKILL' not in output and process.returncode != -signal.SIGKILL:
        raise RuntimeError(f'a run failed with exit code {process.returncode}:\n{output[-4000:]}')
    return process.returncode != 0


def differences(one: Path, other: Path) -> List[str]:
    """The differences between two finished runs."""
    found = (
        []
        if (one / 'results.json').read_text() == (other / 'results.json').read_text()
        else ['results.json']
    )
    for name in (f'epoch_{EPOCHS}.pth', f'tuner/epoch_{EPOCHS}.pth'):
        a, b = (torch.load(run / name, weights_only=True)['state_dict'] for run in (one, other))
        found += [
            f'{name}: {key}'
            for key in a.keys() | b.keys()
            if key not in a or key not in b or not torch.equal(a[key], b[key])
        ]
    return found


def soak(
    setting: Setting,
    kills: int,
    folder: Path,
    seed: int = 0,
    stages: Optional[Dict[str, str]] = None,
) -> List[str]:
    """Kill a run ``kills`` times, restart it from scratch whenever it is done, and compare.

    Args:
        stages: files in the middle of which it is killed, one after the other, with their folders;
            default: random.

    Returns:
        The errors, one line each.
    """
    chance, problems, done = random.Random(seed), [], 0
    whole, data_root = folder / 'whole', folder.parent / 'data'
    began = time.time()
    finish(setting.command(data_root, whole))
    duration = time.time() - began
    rounds = 0
    while done < kills:
        run = folder / f'killed_{rounds}'
        rounds += 1
        command = setting.command(data_root, run)
        while done < kills:
            file = (
                list(stages)[done % len(stages)]
                if stages
                else chance.choice([None] * len(FILES) + FILES)
            )
            stage = (
                stages[file]
                if stages
                else ''
                if file == 'results.json'
                else chance.choice(['', 'tuner'])
            )
            try:
                died = killed(command, run, file, stage, chance.uniform(0, duration))
            except RuntimeError as error:
                problems.append(f'{setting}, kill {done}: {error}')
                died = False
            if not died:
                break
            done += 1
            print(
                f'{setting}: killed {done} of {kills}, {file or "at a random moment"} {stage}',
                flush=True,
            )
        try:
            finish(command)
            found = differences(whole, run)
            print(f'{setting}: {run.name} is done, {len(found)} differences', flush=True)
            problems += [f'{setting}, {run.name}: {what} differs' for what in found]
        except RuntimeError as error:
            problems.append(f'{setting}, {run.name}: {error}')
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--kills', type=int, default=50, help='of all settings together (default: 50)'
    )
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    settings = [
        Setting(1, 0, False),
        Setting(1, 2, True),
        Setting(1, 0, True, folds=2),
        Setting(2, 0, True),
        Setting(2, 1, False),
    ]
    problems: List[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, setting in enumerate(settings):
            share = (args.kills * (number + 1)) // len(settings) - (args.kills * number) // len(
                settings
            )
            problems += soak(setting, share, Path(folder) / str(number), args.seed + number)
    print(
        *problems, f'{args.kills} kills, {len(problems)} runs did not end as they should', sep='\n'
    )
    sys.exit(bool(problems))


if __name__ == '__main__':
    main()
