"""Parameters of the classes and functions that configs name, and whether a value fits one."""

import collections.abc
import inspect
import typing
from types import NoneType, UnionType
from typing import Any, Callable, Dict, Optional

from torch import nn

_PACKAGE = __name__.split('.')[0]
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def is_ours(kind: Any) -> bool:
    """Whether a class or function is defined in this package."""
    return getattr(kind, '__module__', '').split('.')[0] == _PACKAGE


def parameters(kind: Callable) -> Optional[Dict[str, inspect.Parameter]]:
    """Name -> parameter of all keyword arguments of a type; None if it accepts any keyword.

    A class of this package with ``**kwargs`` passes them to its base class, whose parameters are
    added.
    """
    if not inspect.isclass(kind):
        return _named(kind)
    found: Dict[str, inspect.Parameter] = {}
    for owner in kind.__mro__:
        if '__init__' not in vars(owner):
            continue
        signature = inspect.signature(vars(owner)['__init__'])
        own = {
            name: parameter
            for name, parameter in list(signature.parameters.items())[1:]
            if parameter.kind in _NAMED
        }
        # optional, because the derived class may supply parameters of its base class
        found = {**(own if not found else _optional(own)), **found}
        if not _takes_anything(signature):
            return found
        if not is_ours(owner):
            return None
    return found


def _optional(taken: Dict[str, inspect.Parameter]) -> Dict[str, inspect.Parameter]:
    return {
        name: p.replace(default=None) if p.default is inspect.Parameter.empty else p
        for name, p in taken.items()
    }


def _named(function: Callable) -> Optional[Dict[str, inspect.Parameter]]:
    try:
        signature = inspect.signature(function)
    except ValueError:  # a function written in C
        return None
    if _takes_anything(signature):
        return None
    return {name: p for name, p in signature.parameters.items() if p.kind in _NAMED}


def _takes_anything(signature: inspect.Signature) -> bool:
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature.parameters.values())


def takes_module(hint: Any) -> bool:
    """Whether a parameter with this annotation may be a module, and a dict the config of one."""
    if typing.get_origin(hint) in (typing.Union, UnionType):
        return any(takes_module(one) for one in typing.get_args(hint))
    return inspect.isclass(hint) and issubclass(hint, nn.Module)


def fits(value: Any, hint: Any) -> bool:
    """Whether a config value fits a parameter with this annotation; True if that is unknown.

    Integers are accepted as floats, and any sequence in place of another, since MMEngine's configs
    mix lists and tuples.
    """
    if typing.get_origin(hint) in (typing.Union, UnionType):
        return any(fits(value, one) for one in typing.get_args(hint))
    kind = typing.get_origin(hint) or hint
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in (bool, str, dict, NoneType):
        return isinstance(value, kind)
    if kind in (list, tuple, collections.abc.Sequence):
        return isinstance(value, (list, tuple))
    if inspect.isclass(kind) and issubclass(kind, nn.Module):
        return isinstance(value, kind)
    return True
