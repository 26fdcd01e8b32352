"""Check that files and folders named in a config exist."""

from pathlib import Path

from .errors import MissingFileError


def require_path(path: Path, key: str, expected: str) -> None:
    """Check that ``path`` exists.

    Args:
        path: file or folder.
        key: config key that sets it, for the message.
        expected: what the value of the key must be, for the message.

    Raises:
        MissingFileError: the path does not exist; names the path and the key.
    """
    if not path.exists():
        raise MissingFileError(f'{path} does not exist: {key} must be {expected}')
