"""Names of ours that another package has registered too."""

import warnings
from contextlib import contextmanager
from typing import Iterator, List, Optional, Union
from unittest import mock

from mmengine.registry import Registry

from .. import registry as root_registries


@contextmanager
def clashes_named(package: str) -> Iterator[None]:
    """Import our parts; name the other package if it has registered a name of ours in MMEngine's root registries.

    Args:
        package: the name that we are imported by.

    Raises:
        RuntimeError: a name is taken. Not an ImportError, whose message MMEngine's ``custom_imports`` drops.
    """
    register = Registry.register_module

    def register_free_name(
        self: Registry,
        name: Union[str, List[str], None] = None,
        force: bool = False,
        module: Optional[type] = None,
    ):
        def decorate(kind: type) -> type:
            if not force and kind.__module__.startswith(f'{package}.'):
                names = [name] if isinstance(name, str) else name or [kind.__name__]
                _require_free(self, names, package)
            return register(self, name=name, force=force, module=kind)

        return decorate if module is None else decorate(module)

    with mock.patch.object(Registry, 'register_module', register_free_name):
        yield


def _require_free(registry: Registry, names: List[str], package: str) -> None:
    """Raise :func:`clashes_named`'s error if one of the names is taken in a registry."""
    for name in names:
        if name in registry.module_dict:
            raise RuntimeError(
                f'{package} cannot be imported beside {registry.module_dict[name].__module__}: both '
                f'register {name!r} in the {registry.name} registry of MMEngine, which holds a name once. '
                'Import only one of them; custom_imports may name both, or one package by two names'
            )


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
