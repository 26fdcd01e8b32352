"""Write a file completely or not at all."""

import errno
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from .errors import WriteError

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Replace ``path`` by a new file in one step.

    Yields the path of a temporary file in the same folder, to which the body writes. When the body
    ends, the temporary file replaces ``path``. On an error it is removed and ``path`` is unchanged.

    Raises:
        WriteError: the file cannot be written; names ``path`` and the remedy.
    """
    partial = path.with_name(path.name + '.partial')
    with explain_write_errors(path):
        try:
            yield partial
            os.replace(partial, path)
        finally:
            if partial.exists():  # only after an error
                partial.unlink()


@contextmanager
def explain_write_errors(path: Path) -> Iterator[None]:
    """Turn any OSError of the body, which writes ``path``, into one that names the file and remedy.

    Raises:
        WriteError: see above.
    """
    try:
        yield
    except OSError as error:
        remedy = 'free some space' if error.errno in _DISK_FULL else 'make it writable'
        raise WriteError(
            f'{path} cannot be written ({error.strerror or error}): {remedy}, or choose another '
            'folder, then run the same command again; files written before are unchanged'
        ) from error
