"""Run a MaskMaker in several processes (on a CPU) or threads (with a GPU)."""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from typing import Callable, Iterator, List, Sequence

import cv2
import torch

from ..io.device import cpu_count
from ..io.errors import WriteError
from .jobs import Job, Record
from .mask_maker import MaskMaker

_maker: MaskMaker  # of a worker process


def run_batches(
    maker: MaskMaker, batches: Iterator[List[Job]], workers: int
) -> Iterator[List[Record]]:
    """Yield the records of each batch as it is finished, in any order.

    Args:
        maker: makes the masks. On a GPU, threads share it, so that files are read and written while
            it computes; on a CPU, each process has a copy of it.
        batches: the jobs.
        workers: number of processes or threads.

    Raises:
        WriteError: a worker process was killed.
    """
    if workers > 1 and maker.component.device == 'cpu':
        return _run(_process_pool(maker, workers), _work, batches, 4 * workers)
    return _run(ThreadPoolExecutor(workers), maker, batches, 4 * workers)


def _run(
    executor: Executor, work: Callable, batches: Iterator[List[Job]], most_waiting: int
) -> Iterator[List[Record]]:
    """Submit batches so that at most ``most_waiting`` of them are waiting at a time."""
    waiting = set()
    try:
        for batch in batches:
            waiting.add(executor.submit(work, batch))
            if len(waiting) >= most_waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        yield from (future.result() for future in as_completed(waiting))
    except BrokenProcessPool as error:
        raise WriteError(
            'a worker process was killed, often because memory ran out; run the same command again '
            'to continue, with fewer --workers if memory is short'
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


def _process_pool(maker: MaskMaker, workers: int) -> Executor:
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context('forkserver' if 'forkserver' in methods else 'spawn')
    if 'forkserver' in methods:
        # torch and OpenMMLab are imported once instead of once per worker
        context.set_forkserver_preload([__name__])
    settings = (maker.segmenter, maker.options, maker.soft, maker.overwrite)
    threads = max(1, cpu_count() // workers)
    return ProcessPoolExecutor(workers, context, _start_worker, (threads, *settings))


def _start_worker(threads: int, *settings) -> None:
    """Initialise a worker process.

    Args:
        threads: number of threads that it may use.
        settings: arguments of its MaskMaker.
    """
    global _maker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process decides when to stop
    threading.Thread(target=_exit_with_main_process, daemon=True).start()
    os.environ['OMP_NUM_THREADS'] = str(threads)
    cv2.setNumThreads(1)
    torch.set_num_threads(threads)
    _maker = MaskMaker(*settings)


def _exit_with_main_process() -> None:
    main = multiprocessing.parent_process()
    if main is not None:
        main.join()
    os._exit(1)


def _work(jobs: Sequence[Job]) -> List[Record]:
    return _maker(jobs)
