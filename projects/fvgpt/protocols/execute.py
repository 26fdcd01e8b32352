"""Execution of the runs of a protocol, on this machine (several at a time) or by Slurm."""

import os
import queue
import time
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Set

import torch
from filelock import FileLock

from ..engine.runner.run_lock import RUN_LOCK
from ..io.device import cpu_count
from ..io.errors import MissingPackageError, UserError
from .forked import run_forked
from .plan import Run

Submit = Callable[[Run], Future]
LOG = 'log.txt'
_LOG_LINES = 3  # number of last lines of the log that are shown of a failed run


def execute(run: Run, train: Path, environment: Optional[Dict[str, str]] = None) -> Optional[str]:
    """Execute one run in a process of its own, unless it is done already.

    If a process of an earlier call is still at work on it (its parent was killed), wait for it.

    Args:
        run: the run; its recipe must be in its folder, see :meth:`Run.prepare`.
        train: the file ``tools/train.py``.
        environment: environment variables to set.

    Returns:
        None, or the last lines of the log if the run failed.
    """
    with FileLock(run.folder / RUN_LOCK):
        pass
    if run.product.is_file():
        return None
    command = [str(train), str(run.recipe), '--work-dir', str(run.folder)]
    command += ['--seed', str(run.seed), '--resume']
    if run.labels is None:
        command.append('--no-test')
    log = run.folder / LOG
    status = run_forked(command, log, environment or {})
    if status == 0:
        return None
    last_lines = log.read_text(encoding='utf-8').splitlines()[-_LOG_LINES:]
    return '\n'.join(last_lines) or f'exit status {status}'


class LocalExecutor:
    """Executes ``jobs`` runs at a time on this machine.

    The slots get the GPUs in turn or, without GPUs, equal shares of the processor cores.

    Args:
        train: the file ``tools/train.py``.
        jobs: number of slots. Default: one per GPU, or one without GPUs.
    """

    def __init__(self, train: Path, jobs: Optional[int] = None):
        gpus = torch.cuda.device_count()
        jobs = jobs or max(1, gpus)
        self.train, self.pool = train, ThreadPoolExecutor(jobs)
        self.slots: queue.SimpleQueue[Dict[str, str]] = queue.SimpleQueue()
        # The same variables as for the processes of torchrun, which share the cores, see
        # available_workers().
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
        """Queue a run; the future's result is that of :func:`execute`: None or the failure."""
        return self.pool.submit(self._execute, run)

    def _execute(self, run: Run) -> Optional[str]:
        slot = self.slots.get()
        try:
            return execute(run, self.train, slot)
        finally:
            self.slots.put(slot)


class SlurmExecutor:
    """Executes runs as jobs of a Slurm cluster, through submitit. This process waits for them.

    Args:
        train: the file ``tools/train.py``, on a file system that all nodes share.
        logs: folder of submitit's files.
        options: options of submitit's executor, such as ``slurm_partition``, ``timeout_min``,
            ``gpus_per_node``, ``cpus_per_task``.

    Raises:
        ImportError: submitit is not installed.
        ValueError: Slurm is not available, or an option is unknown.
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
        """Queue a run as a job; the future's result is None or the failure."""
        job = self.executor.submit(execute, run, self.train)
        return self.pool.submit(self._result, job)

    @staticmethod
    def _result(job) -> Optional[str]:
        try:
            return job.result()
        except Exception as error:  # whatever ended this job must not end the other runs
            return f'Slurm job {job.job_id}: {error}'


def make_runs(runs: Sequence[Run], submit: Submit) -> List[str]:
    """Execute all runs, each as soon as the runs that it needs are done, and print the progress.

    Args:
        runs: the runs; each comes after the runs that it needs.
        submit: starts a run; the future's result is None or the failure.

    Returns:
        One text per failed run: its name, its folder and the end of its log.
    """
    failed: Dict[Run, str] = {}
    waiting: Dict[Run, Set[Run]] = {}
    futures: Dict[Future, Run] = {}
    start, finished = time.time(), 0
    skipped = [run for run in runs if run.product.is_file()]
    todo = [run for run in runs if run not in skipped]
    if skipped:
        print(f'{len(skipped)} of {len(runs)} runs are done already', flush=True)
    if todo:
        print(
            f'{len(todo)} runs to do, the first is {todo[0].name}; its log is '
            f'{todo[0].folder / LOG}',
            flush=True,
        )
    for run in todo:
        missing = {need for need in run.needs if not need.product.is_file()}
        if missing:
            waiting[run] = missing
        else:
            futures[submit(run)] = run
    while futures:
        future = next(as_completed(futures))
        run, failure = futures.pop(future), future.result()
        ended = [(run, failure)]
        for follower in [other for other, missing in waiting.items() if run in missing]:
            if failure is None:
                waiting[follower].remove(run)
                if not waiting[follower]:
                    futures[submit(follower)] = follower
            else:
                ended.append((follower, f'its tuner failed: {run.folder}'))
            if failure is not None or not waiting[follower]:
                del waiting[follower]
        for run, failure in ended:
            finished += 1
            eta = (time.time() - start) / finished * (len(todo) - finished) / 60
            status = 'done' if failure is None else f'FAILED, see {run.folder / LOG}'
            print(f'[{finished}/{len(todo)}, {eta:.0f} min left] {run.name}: {status}', flush=True)
            if failure is not None:
                failed[run] = failure
    return [f'{run.name} ({run.folder}):\n{failure}' for run, failure in failed.items()]
