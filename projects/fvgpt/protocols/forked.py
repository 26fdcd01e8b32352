"""Run Python files as processes of their own that do not import the libraries again."""

import multiprocessing
import os
import runpy
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Dict, List, Optional

import torch

# A process that was forked from one that had threads may wait forever; the server has none
context = multiprocessing.get_context('forkserver')
PRELOADED = ('fvgpt', 'fvgpt.engine.runner.recipe', __name__)
context.set_forkserver_preload([*PRELOADED])


def start_forked(
    command: List[str],
    out: Path,
    err: Optional[Path] = None,
    environment: Optional[Dict[str, str]] = None,
    cwd: Optional[Path] = None,
) -> BaseProcess:
    """Start ``python command``, forked from a process that has imported this package.

    The imports take several seconds, longer than a training on features. They are made once for all
    processes that are started from here. Its environment is that of the first such call.

    Args:
        command: a Python file and its arguments.
        out, err: files that its output and its errors are written to; without ``err`` both go to
            ``out``.
        environment: variables to set; ``OMP_NUM_THREADS`` sets torch's threads.
        cwd: working directory; None: this process's.
    """
    streams = [str(out), str(err or out)]
    for stream in streams:
        Path(stream).write_bytes(b'')
    process = context.Process(
        target=_run, args=(command, streams, environment or {}, str(cwd or os.getcwd()))
    )
    process.start()
    return process


def run_forked(command: List[str], log: Path, environment: Dict[str, str]) -> int:
    """Run a Python file by :func:`start_forked` to its end, with all of its output in ``log``.

    Returns:
        The exit status; negative: the signal that ended it.
    """
    process = start_forked(command, log, environment=environment)
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _run(command: List[str], streams: List[str], environment: Dict[str, str], cwd: str) -> None:
    for descriptor, stream in zip((1, 2), streams):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_APPEND), descriptor)
    os.environ.update(environment)
    if 'OMP_NUM_THREADS' in os.environ:  # the library has read it before
        torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
    os.chdir(cwd)
    sys.argv = command
    sys.path[0] = str(Path(command[0]).resolve().parent)
    runpy.run_path(command[0], run_name='__main__')
