"""CSV files that a spreadsheet program displays without running formulas in them."""

import csv
import io
from typing import Iterable, Sequence

# characters at the beginning of a cell that make a spreadsheet program read it as a formula
_FORMULA_START = ('=', '+', '-', '@', '\t', '\r')


def csv_text(rows: Iterable[Sequence]) -> str:
    """Format rows as CSV.

    A text cell that a spreadsheet program would run as a formula gets a leading ``'``. Class names
    and file names come from users, so they can begin like one. Numbers are written as they are.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    for row in rows:
        writer.writerow([_escape_formula(value) for value in row])
    return text.getvalue()


def _escape_formula(value):
    if not (isinstance(value, str) and value.startswith(_FORMULA_START)):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
