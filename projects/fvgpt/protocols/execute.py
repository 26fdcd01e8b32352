"""Making the runs of a protocol: on this machine, several at a time, or on a Slurm cluster."""

import os
import queue
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

import torch
from filelock import FileLock

from ..engine.runner.recipe import RUN_LOCK
from ..io.device import cpu_count
from ..io.errors import MissingPackageError, UserError
from .plan import Run

Submit = Callable[[Run], Future]
LOG = 'log.txt'
_LOG_LINES = 3  # of a failed run's log that are shown


def execute(run: Run, train: Path, environment: Optional[Dict[str, str]] = None) -> Optional[str]:
    """Make one run unless it is done; the last lines of its log where it failed, else None.

    A process of an earlier call that still works on it (its parent was killed) is waited for.

    Args:
        run: whose folder has its recipe. train: the command ``tools/train.py``. environment: variables to set.
    """
    with FileLock(run.folder / RUN_LOCK):
        pass
    if run.product.is_file():
        return None
    command = [
        sys.executable,
        str(train),
        str(run.recipe),
        '--work-dir',
        str(run.folder),
        '--seed',
        str(run.seed),
        '--resume',
    ]
    if run.labels is None:
        command.append('--no-test')
    log = run.folder / LOG
    with open(log, 'w', encoding='utf-8') as file:
        done = subprocess.run(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
            env={**os.environ, **(environment or {})},
        )
    if done.returncode == 0:
        return None
    return (
        '\n'.join(log.read_text(encoding='utf-8').splitlines()[-_LOG_LINES:])
        or f'exit status {done.returncode}'
    )


class LocalExecutor:
    """Runs on this machine, ``jobs`` at a time: a GPU each in turn, or an equal share of the processor cores.

    Args:
        train: the command ``tools/train.py``.
        jobs: slots; one a GPU, or one, when left out.
    """

    def __init__(self, train: Path, jobs: Optional[int] = None):
        gpus = torch.cuda.device_count()
        jobs = jobs or max(1, gpus)
        self.train, self.pool = train, ThreadPoolExecutor(jobs)
        self.slots: queue.SimpleQueue[Dict[str, str]] = queue.SimpleQueue()
        # what torchrun's processes are told too: they share the cores, see available_workers()
        share = str(max(1, cpu_count() // jobs))
        threads = dict(
            OMP_NUM_THREADS=os.environ.get('OMP_NUM_THREADS', share), LOCAL_WORLD_SIZE=str(jobs)
        )
        visible = os.environ.get('CUDA_VISIBLE_DEVICES', ','.join(map(str, range(gpus)))).split(',')
        for job in range(jobs):
            self.slots.put(
                {**threads, 'CUDA_VISIBLE_DEVICES': visible[job % gpus]} if gpus else threads
            )

    def submit(self, run: Run) -> Future:
        """Queue a run; the future gives :func:`execute`'s answer: None, or why it failed."""
        return self.pool.submit(self._execute, run)

    def _execute(self, run: Run) -> Optional[str]:
        slot = self.slots.get()
        try:
            return execute(run, self.train, slot)
        finally:
            self.slots.put(slot)


class SlurmExecutor:
    """Runs as jobs of a Slurm cluster, through submitit; this process waits for them.

    Args:
        train: the command ``tools/train.py``, on a file system that the nodes share.
        logs: folder of submitit's own files.
        options: of submitit's executor, such as ``slurm_partition``, ``timeout_min``, ``gpus_per_node``, ``cpus_per_task``.

    Raises:
        ImportError: submitit is not installed.
        ValueError: there is no Slurm here, or an option is unknown.
    """

    def __init__(self, train: Path, logs: Path, options: Dict[str, object]):
        try:
            import submitit
        except ImportError as error:
            raise MissingPackageError(
                '--executor slurm needs submitit: pip install -r requirements/slurm.txt'
            ) from error
        self.train = train
        try:
            self.executor = submitit.AutoExecutor(folder=logs, cluster='slurm')
            defaults = dict(name='fvgpt', gpus_per_node=1, cpus_per_task=8, timeout_min=24 * 60)
            self.executor.update_parameters(**{**defaults, **options})
        except (RuntimeError, NameError) as error:
            raise UserError(f'--executor slurm: {error}') from error
        self.pool = ThreadPoolExecutor(1000)  # each thread waits for one job

    def submit(self, run: Run) -> Future:
        """Queue a run as a job; the future gives None, or why it failed."""
        job = self.executor.submit(execute, run, self.train)
        return self.pool.submit(self._result, job)

    @staticmethod
    def _result(job) -> Optional[str]:
        try:
            return job.result()
        except Exception as error:  # whatever ended the job is this run's failure, not the others'
            return f'Slurm job {job.job_id}: {error}'


def make_runs(runs: Sequence[Run], submit: Submit) -> List[str]:
    """Make all runs, each as soon as what it needs is done, and tell how it goes.

    Args:
        runs: in an order in which each comes after what it needs. submit: starts one; its future gives the failure or None.

    Returns:
        One text a failed run: its name, folder and the end of its log.
    """
    failed: Dict[Run, str] = {}
    waiting: Dict[Run, List[Run]] = {}
    futures: Dict[Future, Run] = {}
    start, finished = time.time(), 0
    skipped = [run for run in runs if run.product.is_file()]
    todo = [run for run in runs if run not in skipped]
    if skipped:
        print(f'{len(skipped)} of {len(runs)} runs are done already', flush=True)
    if todo:
        print(
            f'{len(todo)} runs to make, the first is {todo[0].name}; it writes {todo[0].folder / LOG}',
            flush=True,
        )
    for run in todo:
        if run.needs is None or run.needs.product.is_file():
            futures[submit(run)] = run
        else:
            waiting.setdefault(run.needs, []).append(run)
    while futures:
        future = next(as_completed(futures))
        run, failure = futures.pop(future), future.result()
        ended = [(run, failure)]
        if failure is None:
            for follower in waiting.pop(run, []):
                futures[submit(follower)] = follower
        else:
            ended += [
                (follower, f'its tuner failed: {run.folder}') for follower in waiting.pop(run, [])
            ]
        for run, failure in ended:
            finished += 1
            eta = (time.time() - start) / finished * (len(todo) - finished) / 60
            print(
                f'[{finished}/{len(todo)}, {eta:.0f} min left] {run.name}: '
                + ('done' if failure is None else f'FAILED, see {run.folder / LOG}'),
                flush=True,
            )
            if failure is not None:
                failed[run] = failure
    return [f'{run.name} ({run.folder}):\n{failure}' for run, failure in failed.items()]
