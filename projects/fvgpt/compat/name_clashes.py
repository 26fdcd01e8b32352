"""Report registered names that this package and another one have in common."""

import warnings
from contextlib import contextmanager
from typing import Iterator, List, Optional, Union
from unittest import mock

from mmengine.registry import Registry

from .. import registry as root_registries


@contextmanager
def clashes_named(package: str) -> Iterator[None]:
    """While our parts are imported: report names that another package has already registered.

    Args:
        package: the name by which this package is imported.

    Raises:
        RuntimeError: a name is taken in a root registry of MMEngine; the message names the other
            package. It is not an ImportError, because ``custom_imports`` drops its message.
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
                f'{package} cannot be imported beside {registry.module_dict[name].__module__}: '
                f'both register {name!r} in the {registry.name} registry of MMEngine, in which '
                'a name is unique. Import only one of them; custom_imports may name both, or one '
                'package by two names'
            )


def warn_of_hidden_names(package: str) -> None:
    """Warn about names that another scope also has, since its configs get the other type."""
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
                    f'{child.module_dict[name].__module__} registers a {name} too: with '
                    f'default_scope={scope!r} a config gets that one, and '
                    f"{package}'s by type='mmengine.{name}'",
                    stacklevel=2,
                )
