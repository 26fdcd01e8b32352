"""CSV cells are not run as formulas by a spreadsheet program."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from fvgpt.io.csv_text import csv_text

CELLS = st.text(st.characters(codec='utf-8', exclude_categories=('Cs',)), max_size=12).filter(
    lambda t: '\r' not in t
)


@given(st.lists(st.lists(CELLS, min_size=1, max_size=4), min_size=1, max_size=4))
def test_no_text_cell_starts_like_a_formula_and_none_is_lost(rows):
    read = list(csv.reader(io.StringIO(csv_text(rows), newline='')))
    for row, cells in zip(rows, read, strict=True):
        for value, cell in zip(row, cells, strict=True):
            assert cell in (value, f"'{value}")
            if cell.startswith(('=', '+', '-', '@', '\t')):
                float(cell)


def test_formulas_are_escaped_and_numbers_are_not():
    rows = [
        ['=HYPERLINK("http://x")', '@SUM(1)', '-1+cmd|x', '+cat', '-.5', '+2e3', -3, -0.25, 'cat']
    ]
    assert next(csv.reader(io.StringIO(csv_text(rows)))) == [
        '\'=HYPERLINK("http://x")',
        "'@SUM(1)",
        "'-1+cmd|x",
        "'+cat",
        '-.5',
        '+2e3',
        '-3',
        '-0.25',
        'cat',
    ]
