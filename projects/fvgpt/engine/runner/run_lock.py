"""One run at a time in a work dir."""

import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional

from filelock import FileLock, Timeout

from ...io.atomic_write import explain_write_errors
from ...io.errors import UserError

RUN_LOCK = '.running'  # in a work dir, held by the process that trains there


@contextmanager
def claimed(work_dir: str, lock: Optional[FileLock] = None) -> Iterator[None]:
    """Keep other runs out of a work dir.

    Args:
        work_dir: made if it does not exist. lock: held already, or not, by the run that claims it;
            its own if left out.

    Raises:
        UserError: another run is at work there. WriteError: it cannot be written.
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
    """The lock of a work dir, not held yet; whoever has it may claim the work dir again."""
    return FileLock(Path(work_dir) / RUN_LOCK, timeout=0)
