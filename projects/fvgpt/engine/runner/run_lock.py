"""One run at a time in a work dir."""

import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional

from filelock import FileLock, Timeout

from ...io.atomic_write import explain_write_errors
from ...io.errors import UserError

RUN_LOCK = '.running'  # in the work dir; held by the process that trains there


@contextmanager
def claimed(work_dir: str, lock: Optional[FileLock] = None) -> Iterator[None]:
    """Context manager that locks a work dir against other runs.

    Args:
        work_dir: created if it does not exist.
        lock: the lock of this run, which may already hold it; default: a new one.

    Raises:
        UserError: another run uses the work dir.
        WriteError: the work dir is not writable.
    """
    if os.environ.get('RANK', os.environ.get('SLURM_PROCID', '0')) != '0':
        yield  # the first process of a distributed run holds the lock for all
        return
    file = Path(work_dir) / RUN_LOCK
    with explain_write_errors(Path(work_dir)):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    try:
        with lock or run_lock(work_dir):
            yield
    except Timeout as error:
        raise UserError(
            f'another run is at work in {work_dir}; wait for it, or choose another --work-dir'
        ) from error


def run_lock(work_dir: str) -> FileLock:
    """The lock of a work dir, not acquired yet. Its owner may acquire it several times."""
    return FileLock(Path(work_dir) / RUN_LOCK, timeout=0)
