"""Text of unknown origin cannot control the terminal."""

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from fvgpt.io.printable import printable


@given(st.text(st.characters(), max_size=30))
def test_control_characters_are_escaped_and_json_reads_them_back(text):
    shown = printable(text)
    assert not [c for c in shown if unicodedata.category(c) in ('Cc', 'Cs') and c not in '\n\t']
    shown.encode()
    assert json.loads(printable(json.dumps(text, ensure_ascii=False))) == text


def test_ordinary_text_of_any_script_is_unchanged():
    for text in ('café 犬 снег می‌خواهم', 'two\nlines\tand a tab', ''):
        assert printable(text) == text
    assert (
        printable('\x1b]0;title\x07\x9b31m\u202etxt') == r'\u001b]0;title\u0007\u009b31m\u202etxt'
    )
