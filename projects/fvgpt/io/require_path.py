"""Check that files and folders named in a config exist."""

from pathlib import Path
from typing import Type

from .errors import MissingFileError


def require_path(
    path: Path, key: str, expected: str, error: Type[MissingFileError] = MissingFileError
) -> None:
    """Check that ``path`` exists.

    Args:
        path: file or folder.
        key: config key that sets it, for the message.
        expected: what the value of the key must be, for the message.
        error: class of the error.

    Raises:
        MissingFileError: the path does not exist; names the path and the key.
    """
    if not path.exists():
        raise error(f'{path} does not exist: {key} must be {expected}')
