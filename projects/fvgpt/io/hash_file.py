"""The hash of a file."""

from pathlib import Path
from typing import Any


def hash_file(path: Path, digest: Any) -> Any:
    """Update a hash with the bytes of a file, in blocks.

    Args:
        path: the file.
        digest: of :mod:`hashlib`.

    Returns:
        ``digest``.
    """
    with open(path, 'rb') as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest
