"""Reading text and JSON that may come from strangers."""

from pathlib import Path

from .errors import UserError

LARGEST = 1 << 30  # bytes; the list of all images of ImageNet takes 150 MB


def read_text(path: Path) -> str:
    """A text file in UTF-8, with or without a byte order mark.

    Raises:
        ValueError: it is larger than ``LARGEST``, or no text in UTF-8; names it.
    """
    size = path.stat().st_size
    if size > LARGEST:
        raise UserError(
            f'{path} has {size / 1e9:.1f} GB; a text file of up to {LARGEST / 1e9:.1f} GB is expected here'
        )
    try:
        return path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise UserError(f'{path} is no text in UTF-8: {error}') from error
