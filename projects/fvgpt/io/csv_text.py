"""CSV that a spreadsheet shows and does not run."""

import csv
import io
from typing import Iterable, Sequence

_FORMULA = ('=', '+', '-', '@', '\t', '\r')  # what a spreadsheet takes for the beginning of one


def csv_text(rows: Iterable[Sequence]) -> str:
    """Rows as CSV. A text that a spreadsheet would take for a formula, as a class or a file can be called, gets a ``'`` before
    it; numbers stay as they are."""
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value):
    if not (isinstance(value, str) and value.startswith(_FORMULA)):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
