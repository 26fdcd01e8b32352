"""House rules: everything public has a docstring."""

import importlib
import inspect
import pkgutil
from functools import cached_property
from types import ModuleType
from typing import Iterator, Tuple

import pytest

import fvgpt

MODULES = ['fvgpt', *(module.name for module in pkgutil.walk_packages(fvgpt.__path__, 'fvgpt.'))]


def public_parts(module: ModuleType) -> Iterator[Tuple[str, str]]:
    """Names and docstrings of a module, its public classes and functions, and their public methods
    and properties."""
    yield module.__name__, module.__doc__
    for name, part in vars(module).items():
        if name.startswith('_') or getattr(part, '__module__', None) != module.__name__:
            continue
        if inspect.isclass(part):
            written = not (part.__doc__ or '').startswith(
                f'{name}('
            )  # by hand: dataclasses and named tuples write their own
            yield f'{module.__name__}.{name}', part.__doc__ if written else None
            for key, member in vars(part).items():
                member = getattr(member, '__func__', member)  # of a classmethod or staticmethod
                if not key.startswith('_') and (
                    inspect.isfunction(member) or isinstance(member, (property, cached_property))
                ):
                    yield (
                        f'{module.__name__}.{name}.{key}',
                        inspect.getdoc(member),
                    )  # or that of what it overrides
        elif inspect.isfunction(part):
            yield f'{module.__name__}.{name}', part.__doc__


@pytest.mark.parametrize('module', MODULES)
def test_all_that_is_public_has_a_docstring(module):
    parts = dict(public_parts(importlib.import_module(module)))
    assert not [name for name, text in parts.items() if not (text or '').strip()]


def test_a_part_without_a_docstring_is_found():
    module = ModuleType('house')
    exec(
        '"""A module."""\n'
        'class Class:\n    def method(self): ...\n    @property\n    def size(self): ...\n'
        'class Heir(Class):\n    def method(self):\n        "Own."\ndef function(): ...\n'
        'from typing import NamedTuple\nclass Pair(NamedTuple):\n    one: int\n',
        vars(module),
    )
    assert [name for name, text in public_parts(module) if not text] == [
        'house.Class',
        'house.Class.method',
        'house.Class.size',
        'house.Heir',
        'house.function',
        'house.Pair',
    ]
