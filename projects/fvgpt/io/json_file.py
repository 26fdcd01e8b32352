"""Read and write JSON files, with errors that name the file."""

import json
from pathlib import Path
from typing import Any

from .atomic_write import atomic_write
from .errors import UserError
from .text_file import read_text


def read_json(path: Path) -> Any:
    """Content of a JSON file.

    Raises:
        UserError: the file is not valid JSON or cannot be read as text (see :func:`read_text`);
            names the file.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except ValueError as error:
        raise UserError(f'{path} is not valid JSON: {error}') from error
    except RecursionError as error:
        raise UserError(f'{path} is not valid JSON: it is nested too deeply') from error


def write_json(path: Path, content) -> None:
    """Write ``content`` as indented JSON, completely or not at all (see :func:`atomic_write`).

    Raises:
        WriteError: the file cannot be written.
    """
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + '\n')
