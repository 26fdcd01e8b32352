"""Names of ours that another package has registered too."""

import re
import warnings
from contextlib import contextmanager
from typing import Iterator

from mmengine.registry import Registry

from .. import registry as root_registries


@contextmanager
def clashes_named(package: str) -> Iterator[None]:
    """Import our parts, and where MMEngine refuses a name that its root registries have already, say whose it is.

    Args:
        package: the name that we are imported by.

    Raises:
        RuntimeError: a name is taken. No ImportError: of one MMEngine's ``custom_imports`` keeps only that it happened.
    """
    try:
        yield
    except KeyError as error:
        clash = re.search(r'(\w+) is already registered in ([\w ]+) at ([\w.]+)', str(error))
        if clash is None:
            raise
        name, registry, owner = clash.groups()
        raise RuntimeError(
            f'{package} cannot be imported beside {owner}: both register {name!r} in the {registry} registry '
            'of MMEngine, which holds a name once. Import only one of them; custom_imports may name both, or '
            'one package by two names'
        ) from error


def warn_of_hidden_names(package: str) -> None:
    """Warn of names of ours that another scope has too, where a config of that scope gets the other one."""
    for registry in {
        id(entry): entry for entry in vars(root_registries).values() if isinstance(entry, Registry)
    }.values():
        ours = {
            name
            for name, kind in registry.module_dict.items()
            if kind.__module__.startswith(f'{package}.')
        }
        for scope, child in registry.children.items():
            for name in sorted(ours & set(child.module_dict)):
                warnings.warn(
                    f'{child.module_dict[name].__module__} registers a {name} too: with default_scope={scope!r} a '
                    f"config gets that one, and {package}'s by type='mmengine.{name}'",
                    stacklevel=2,
                )
