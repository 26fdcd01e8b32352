"""Suggestions for misspelt names of keys and files."""

from difflib import get_close_matches
from pathlib import Path
from typing import Iterable, Union

from .errors import MissingFileError


def suggest(name: str, known: Iterable[str]) -> str:
    """Suggestion to append to an error message about an unknown name.

    Returns:
        ``'; did you mean <closest known name>?'``, or ``''`` if no known name is similar.
    """
    close = get_close_matches(name, list(known), 1)
    return f'; did you mean {close[0]}?' if close else ''


def missing_file(what: str, path: Union[str, Path], suffix: str) -> MissingFileError:
    """The error for a file that does not exist.

    The message suggests the most similar file in the same folder (or in ``path`` itself, if it is
    a folder). If none is similar and ``path`` is relative, it names the current folder.

    Args:
        what: kind of file, for the message, such as ``'checkpoint'``.
        path: the missing file.
        suffix: suffix of such files, such as ``'.pth'``.
    """
    file = Path(path)
    candidates = [
        str(other)
        for folder in (file.parent, file)
        for other in folder.glob(f'*{suffix}')
        if other.is_file()
    ]
    hint = suggest(str(file), candidates)
    if not hint and not file.is_absolute():
        hint = f' in {Path.cwd()}'
    return MissingFileError(f'there is no {what} {path}{hint}')
