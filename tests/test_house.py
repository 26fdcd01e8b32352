"""House rules: files and functions stay short, and all that is public says what it is."""
import ast
import importlib
import inspect
import pkgutil
from functools import cached_property
from types import ModuleType
from typing import Iterator, Tuple

import pytest

import fvgpt

from .conftest import ROOT

LONGEST_FILE, LONGEST_FUNCTION = 400, 60
SOURCES = sorted(path for folder in ('projects', 'tools', 'tests', 'configs') for path in (ROOT / folder).rglob('*.py'))
MODULES = ['fvgpt', *(module.name for module in pkgutil.walk_packages(fvgpt.__path__, 'fvgpt.'))]


def test_no_file_is_long():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding='utf-8').splitlines()) for path in SOURCES}
    assert len(lengths) > 200
    assert not {path: length for path, length in lengths.items() if length > LONGEST_FILE}


def test_no_function_is_long():
    functions = [(path, node) for path in SOURCES for node in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
                 if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    assert len(functions) > 1000
    lengths = {f'{path.relative_to(ROOT)}: {node.name}': node.end_lineno - node.lineno + 1 for path, node in functions}
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}


def public_parts(module: ModuleType) -> Iterator[Tuple[str, str]]:
    """Name and docstring of a module, its public classes and functions, and their public methods and properties."""
    yield module.__name__, module.__doc__
    for name, part in vars(module).items():
        if name.startswith('_') or getattr(part, '__module__', None) != module.__name__:
            continue
        if inspect.isclass(part):
            written = not (part.__doc__ or '').startswith(f'{name}(')  # by hand: dataclasses and named tuples write their own
            yield f'{module.__name__}.{name}', part.__doc__ if written else None
            for key, member in vars(part).items():
                member = getattr(member, '__func__', member)  # of a classmethod or staticmethod
                if not key.startswith('_') and (inspect.isfunction(member) or isinstance(member, (property, cached_property))):
                    yield f'{module.__name__}.{name}.{key}', inspect.getdoc(member)  # or that of what it overrides
        elif inspect.isfunction(part):
            yield f'{module.__name__}.{name}', part.__doc__


@pytest.mark.parametrize('module', MODULES)
def test_all_that_is_public_has_a_docstring(module):
    parts = dict(public_parts(importlib.import_module(module)))
    assert not [name for name, text in parts.items() if not (text or '').strip()]


def test_a_part_without_a_docstring_is_found():
    module = ModuleType('house')
    exec('"""A module."""\nclass Class:\n    def method(self): ...\n    @property\n    def size(self): ...\n'
         'class Heir(Class):\n    def method(self):\n        "Own."\ndef function(): ...\n'
         'from typing import NamedTuple\nclass Pair(NamedTuple):\n    one: int\n', vars(module))
    assert [name for name, text in public_parts(module) if not text] == [
        'house.Class', 'house.Class.method', 'house.Class.size', 'house.Heir', 'house.function', 'house.Pair']
