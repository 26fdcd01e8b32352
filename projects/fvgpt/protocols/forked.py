"""Run Python files as processes of their own that do not import the libraries again."""

import multiprocessing
import os
import runpy
import sys
from pathlib import Path
from typing import Dict, List

import torch

# A process that was forked from one that had threads may wait forever; the server has none
_context = multiprocessing.get_context('forkserver')
_context.set_forkserver_preload(['fvgpt', 'fvgpt.engine.runner.recipe'])


def run_forked(command: List[str], log: Path, environment: Dict[str, str]) -> int:
    """Run ``python command``, forked from a process that has imported this package.

    The imports take several seconds, longer than a training on features. They are made once for all
    processes that are started from here.

    Args:
        command: a Python file and its arguments.
        log: file that its output and errors are written to.
        environment: variables to set; ``OMP_NUM_THREADS`` sets torch's threads.

    Returns:
        The exit status; negative: the signal that ended it.
    """
    log.write_bytes(b'')
    process = _context.Process(target=_run, args=(command, str(log), environment))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _run(command: List[str], log: str, environment: Dict[str, str]) -> None:
    file = os.open(log, os.O_WRONLY | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(file, descriptor)
    os.environ.update(environment)
    if 'OMP_NUM_THREADS' in os.environ:  # the library has read it before
        torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
    sys.argv = command
    sys.path[0] = str(Path(command[0]).resolve().parent)
    runpy.run_path(command[0], run_name='__main__')
