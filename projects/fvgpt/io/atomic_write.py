"""Writing files whole or not at all."""

import errno
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from .errors import WriteError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Where to write what is to become ``path``: it takes its place when the body ends, and on an error nothing is changed.

    Raises:
        OSError: it cannot be written; names ``path`` and what to do.
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
    """Let an OSError of the body, which writes ``path``, say which file it is and what to do.

    Raises:
        OSError: see above.
    """
    try:
        yield
    except OSError as error:
        mend = 'free some space' if error.errno in _FULL else 'permit writing there'
        raise WriteError(
            f'{path} cannot be written ({error.strerror or error}): {mend}, or choose another folder, and start the '
            'same command again; what was written before is kept'
        ) from error
