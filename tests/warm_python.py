"""Run Python commands as separate processes without the time of importing the libraries."""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List

# A process that was forked from one which had threads may wait forever; this server has none
context = multiprocessing.get_context('forkserver')
context.set_forkserver_preload(
    ['fvgpt', 'fvgpt.engine.runner.recipe', 'fvgpt.inference.inferencer']
)


def run_warm(command: List[str], cwd: Path, timeout: float) -> subprocess.CompletedProcess:
    """Run ``python command`` in ``cwd``, forked from a process that imported the package.

    Its environment is that of the first such call, so a command that needs its own environment
    cannot be run like this.
    """
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder) / name for name in ('out', 'err')]
        for stream in streams:
            stream.touch()
        process = context.Process(target=_run, args=(command, str(cwd), *map(str, streams)))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(
            command, process.exitcode, *(stream.read_text() for stream in streams)
        )


def _run(command: List[str], cwd: str, out: str, err: str) -> None:
    for descriptor, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_APPEND), descriptor)
    os.chdir(cwd)
    sys.argv = command
    sys.path[0] = str(Path(command[0]).resolve().parent)
    runpy.run_path(command[0], run_name='__main__')
