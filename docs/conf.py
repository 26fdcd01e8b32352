"""Sphinx settings.

Build: ``python -m sphinx -W --keep-going -b html docs docs/_build/html``.
"""

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS / '_ext'))

import reference  # noqa: E402
import repository_links  # noqa: E402

import fvgpt  # noqa: E402

project, author, release = 'fvgpt', 'The fvgpt contributors', fvgpt.__version__
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']
exclude_patterns = ['_build']
html_theme = 'furo'
html_title = f'fvgpt {release}'
html_copy_source = False
highlight_language = 'none'  # of indented blocks, which hold commands and formulas
myst_heading_anchors = 4  # as GitHub makes them

autodoc_inherit_docstrings = (
    False  # docstrings of MMEngine's base classes belong to MMEngine's documentation
)
autodoc_member_order = 'bysource'
maximum_signature_line_length = 100
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # "Attributes:" of a named tuple, whose fields autodoc lists too


def setup(app):
    app.connect('builder-inited', lambda app: reference.write_pages(DOCS / 'generated'))
    app.connect('source-read', repository_links.turn_links)
    app.connect('source-read', reference.add_navigation)
