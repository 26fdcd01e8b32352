"""Print text of unknown origin, such as file names, on a terminal."""

import re

# Control characters (they start terminal commands), characters that change the direction of text,
# and lone surrogates (Python's form of file names that are not UTF-8).
_UNPRINTABLE = re.compile(r'[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]')


def printable(text: str) -> str:
    """Escape the characters that a terminal would execute or cannot display.

    They become ``\\u001b`` and the like, which a JSON parser reads back as the original characters.
    """
    return _UNPRINTABLE.sub(lambda match: f'\\u{ord(match[0]):04x}', text)
