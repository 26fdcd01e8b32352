"""JSON files: written whole, and read with errors that name them."""

import json
from pathlib import Path
from typing import Any

from .atomic_write import atomic_write
from .errors import UserError
from .text_file import read_text


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        ValueError: see :func:`read_text`, or it is no JSON; names it.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except ValueError as error:
        raise UserError(f'{path} is not valid JSON: {error}') from error
    except RecursionError as error:
        raise UserError(f'{path} is not valid JSON: it is nested too deeply') from error


def write_json(path: Path, content) -> None:
    """Write a file whole or not at all."""
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + '\n')
