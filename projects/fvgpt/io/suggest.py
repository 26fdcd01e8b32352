"""Names that are not there: errors that say which may have been meant."""

from difflib import get_close_matches
from pathlib import Path
from typing import Iterable, Union

from .errors import MissingFileError


def suggest(name: str, known: Iterable[str]) -> str:
    """The end of a message: the known name that is most like a wrong one; empty where none is."""
    close = get_close_matches(name, list(known), 1)
    return f'; did you mean {close[0]}?' if close else ''


def missing_file(what: str, path: Union[str, Path], suffix: str) -> FileNotFoundError:
    """The error for a file that is not there: names the one beside it, or in it if it is a folder, that is most like it, or
    where it was looked for.

    Args:
        what: it is, for the message. suffix: of such files.
    """
    file = Path(path)
    there = [
        str(other)
        for folder in (file.parent, file)
        for other in folder.glob(f'*{suffix}')
        if other.is_file()
    ]
    hint = suggest(str(file), there) or ('' if file.is_absolute() else f' in {Path.cwd()}')
    return MissingFileError(f'there is no {what} {path}{hint}')
