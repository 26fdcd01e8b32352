"""Run Python commands as separate processes without the time of importing the libraries."""

import subprocess
import tempfile
from pathlib import Path
from typing import List

from fvgpt.protocols.forked import PRELOADED, context, start_forked

context.set_forkserver_preload([*PRELOADED, 'fvgpt.inference.inferencer'])


def run_warm(command: List[str], cwd: Path, timeout: float) -> subprocess.CompletedProcess:
    """Run ``python command`` in ``cwd``, forked from a process that imported the package.

    Its environment is that of the first such call, so a command that needs its own environment
    cannot be run like this.
    """
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder) / name for name in ('out', 'err')]
        process = start_forked(command, *streams, cwd=cwd)
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(
            command, process.exitcode, *(stream.read_text() for stream in streams)
        )
