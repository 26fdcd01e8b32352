"""Read text files of unknown origin."""

from pathlib import Path

from .errors import UserError

MAX_BYTES = 1 << 30  # the list of all images of ImageNet takes 150 MB


def read_text(path: Path) -> str:
    """Content of a UTF-8 text file, without its byte order mark if it has one.

    Raises:
        UserError: the file is larger than ``MAX_BYTES`` or is not UTF-8; names the file.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise UserError(
            f'{path} has {size / 1e9:.1f} GB; '
            f'a text file of at most {MAX_BYTES / 1e9:.1f} GB is expected here'
        )
    try:
        return path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise UserError(f'{path} is not UTF-8 text: {error}') from error
