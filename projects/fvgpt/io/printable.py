"""Text of somebody else's making on a terminal."""

import re

# control characters, which begin a terminal's commands; those that turn the direction of reading; halves of characters,
# which names of files that are not UTF-8 hold
_UNPRINTABLE = re.compile(r'[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]')


def printable(text: str) -> str:
    """``text`` with what a terminal would obey, or cannot show, as ``\\u001b`` (which JSON reads back)."""
    return _UNPRINTABLE.sub(lambda match: f'\\u{ord(match[0]):04x}', text)
