"""Reading text and JSON that may come from strangers."""
import json
from pathlib import Path
from typing import Any

LARGEST = 1 << 30  # bytes; the list of all images of ImageNet takes 150 MB


def read_text(path: Path) -> str:
    """A text file in UTF-8, with or without a byte order mark.

    Raises:
        ValueError: it is larger than ``LARGEST``, or no text in UTF-8; names it.
    """
    size = path.stat().st_size
    if size > LARGEST:
        raise ValueError(f'{path} has {size / 1e9:.1f} GB; a text file of up to {LARGEST / 1e9:.1f} GB is expected here')
    try:
        return path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is no text in UTF-8: {error}') from error


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        ValueError: see :func:`read_text`, or it is no JSON; names it.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f'{path} is not valid JSON: {error}') from error
    except RecursionError as error:
        raise ValueError(f'{path} is not valid JSON: it is nested too deeply') from error
