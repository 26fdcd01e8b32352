"""Check the parts of a config before any is built: each type exists and accepts its keys."""

import inspect
from typing import Any, Callable, Dict, Iterator, Mapping, NamedTuple, Optional, Tuple

from mmengine import registry as registries
from mmengine.config import Config
from mmengine.registry import DefaultScope, Registry

from ...io.errors import UserError
from ...io.suggest import suggest
from .signatures import fits, is_ours, parameters, takes_module

# Keys that MMEngine's builders remove from a part's config, or add to it, before they call its type
_EXTRA_KEYS: Dict[str, Tuple[str, ...]] = {
    'optimizer wrapper': ('constructor', 'paramwise_cfg'),
    'parameter scheduler': ('convert_to_iter_based',),
    'hook': ('priority',),
}
# Keys of a part that contain further parts -> their registry; the parts of a model are models
_NESTED: Dict[str, Dict[str, str]] = {
    'model': {},
    'dataset': dict(dataset='DATASETS', datasets='DATASETS', pipeline='TRANSFORMS'),
    'transform': dict(transforms='TRANSFORMS'),
    'optimizer wrapper': dict(optimizer='OPTIMIZERS'),
    'visualizer': dict(vis_backends='VISBACKENDS'),
    'evaluator': dict(metrics='METRICS'),
}
_TOGETHER = (
    ('train_dataloader', 'train_cfg', 'optim_wrapper'),
    ('val_dataloader', 'val_cfg', 'val_evaluator'),
    ('test_dataloader', 'test_cfg', 'test_evaluator'),
)


class Part(NamedTuple):
    """A part of a config.

    Attributes:
        name: dotted key of the part.
        value: its config.
        registry: registry of its type, a name in ``mmengine.registry``.
        kind: what messages call such a part.
        default: the type if the config has none.
        complete: whether the config is complete, so that a required key may not be missing.
    """

    name: str
    value: Any
    registry: str
    kind: str
    default: Optional[str] = None
    complete: bool = False


def check_config(config: Config) -> None:
    """Check every part that a Runner builds.

    Raises:
        UserError: a type is not registered, a type has no such parameter, or a value has the wrong
            kind. The message names the key and the closest valid name.
    """
    for group in _TOGETHER:
        missing = [key for key in group if config.get(key) is None]
        if missing and len(missing) < len(group):
            given = ' and '.join(key for key in group if key not in missing)
            raise UserError(f'the recipe has {given}, but no {missing[0]}, which belongs to it')
    with DefaultScope.overwrite_default_scope(config.get('default_scope', 'mmengine')):
        for part in _parts(config):
            _check(part)


def check_model(name: str, model: Any) -> None:
    """:func:`check_config` for a model alone; ``name`` is its key.

    Raises:
        UserError: as in :func:`check_config`.
    """
    _check(Part(name, model, 'MODELS', 'model'))


def _parts(config: Config) -> Iterator[Part]:
    if 'model' in config:
        yield Part('model', config.model, 'MODELS', 'model')
    for key, loader in _named_entries(config, *(group[0] for group in _TOGETHER)):
        yield Part(f'{key}.dataset', loader.get('dataset'), 'DATASETS', 'dataset', complete=True)
        for sampler in ('sampler', 'batch_sampler'):
            if loader.get(sampler) is not None:
                yield Part(f'{key}.{sampler}', loader[sampler], 'DATA_SAMPLERS', 'sampler')
    by_epoch = (config.get('train_cfg') or {}).get('by_epoch', True)
    loops = ('EpochBasedTrainLoop' if by_epoch else 'IterBasedTrainLoop', 'ValLoop', 'TestLoop')
    for group, loop in zip(_TOGETHER, loops):
        if config.get(group[1]) is not None:
            settings = {k: v for k, v in config[group[1]].items() if k != 'by_epoch'}
            yield Part(group[1], settings, 'LOOPS', 'loop', loop)
    for key, metric in _named_entries(config, 'val_evaluator', 'test_evaluator'):
        if 'metrics' in metric:
            yield Part(key, metric, 'EVALUATOR', 'evaluator', 'Evaluator')
        else:
            yield Part(key, metric, 'METRICS', 'metric', complete=True)
    if config.get('optim_wrapper') is not None and 'constructor' not in config.optim_wrapper:
        yield Part(
            'optim_wrapper',
            config.optim_wrapper,
            'OPTIM_WRAPPERS',
            'optimizer wrapper',
            'OptimWrapper',
        )
    for key, schedule in _named_entries(config, 'param_scheduler'):
        yield Part(key, schedule, 'PARAM_SCHEDULERS', 'parameter scheduler')
    hooks = {f'default_hooks.{k}': hook for k, hook in config.get('default_hooks', {}).items()}
    hooks.update(_named_entries(config, 'custom_hooks'))
    for key, hook in hooks.items():
        if hook is not None:
            yield Part(key, hook, 'HOOKS', 'hook', complete=True)
    if config.get('visualizer') is not None:
        yield Part('visualizer', config.visualizer, 'VISUALIZERS', 'visualizer')


def _named_entries(config: Mapping, *keys: str) -> Iterator[Tuple[str, Any]]:
    """Key -> config of a value that is one part or a list of parts."""
    for key in keys:
        entry = config.get(key)
        if isinstance(entry, (list, tuple)):
            yield from ((f'{key}.{index}', one) for index, one in enumerate(entry))
        elif entry is not None:
            yield key, entry


# ------------------------------------------------------------------ one part
def _check(part: Part) -> None:
    if not isinstance(part.value, dict):
        if isinstance(part.value, (str, int, float, bool, list, tuple)) or part.value is None:
            raise UserError(f'{part.name} must be a {part.kind}, a dict, not {part.value!r}')
        return  # built already
    registry = getattr(registries, part.registry)
    with registry.switch_scope_and_registry(part.value.get('_scope_')) as scoped:
        kind = _type_of(part, scoped)
        values = {key: v for key, v in part.value.items() if key not in ('type', '_scope_')}
        taken = parameters(kind)
        if taken is not None:
            _check_keys(part, kind, values, taken)
        for nested in _nested(part, kind, values, taken or {}, scoped):
            _check(nested)


def _type_of(part: Part, registry: Registry) -> Callable:
    name = part.value.get('type', part.default)
    if name is None:
        raise UserError(f'{part.name} has no type: it must say which {part.kind} it is')
    if not isinstance(name, str):
        if callable(name):
            return name
        raise UserError(f'{part.name}.type must be the name of a {part.kind}, not {name!r}')
    kind = registry.get(name)
    if kind is None:
        raise UserError(
            f'{part.name}.type: there is no {part.kind} {name!r}{suggest(name, _names(registry))}'
        )
    return kind


def _names(registry: Registry) -> Iterator[str]:
    above: Optional[Registry] = registry
    while above is not None:
        yield from above.module_dict
        above = above.parent


def _check_keys(
    part: Part, kind: Callable, values: Dict[str, Any], taken: Dict[str, inspect.Parameter]
) -> None:
    name = getattr(kind, '__name__', str(kind))
    for key, value in values.items():
        if key in _EXTRA_KEYS.get(part.kind, ()):
            continue
        if key not in taken:
            raise UserError(f'{part.name}: {name} has no parameter {key!r}{suggest(key, taken)}')
        hint = taken[key].annotation
        checked = part.kind == 'model' and is_ours(kind)  # data sets check their values themselves
        if checked and value != taken[key].default and not fits(value, hint):
            shown = getattr(hint, '__name__', None) if inspect.isclass(hint) else str(hint)
            raise UserError(
                f'{part.name}.{key} must be {str(shown).replace("typing.", "")}, not {value!r}'
            )
    if part.complete:
        for key, parameter in taken.items():
            if parameter.default is inspect.Parameter.empty and key not in values:
                raise UserError(f'{part.name}: {name} needs {key!r}')


def _nested(
    part: Part,
    kind: Callable,
    values: Dict[str, Any],
    taken: Dict[str, inspect.Parameter],
    registry: Registry,
) -> Iterator[Part]:
    """The parts inside a part.

    Models of other packages may contain dicts whose ``type`` is in any registry. Of these, only
    the ones that name a model are checked.
    """
    kinds = dict(DATASETS='dataset', TRANSFORMS='transform', OPTIMIZERS='optimizer')
    for key, value in values.items():
        name = f'{part.name}.{key}'
        if part.kind == 'model':
            parameter = taken.get(key)
            default = getattr(parameter, 'default', None)
            default = default.get('type') if isinstance(default, dict) else None
            is_part = is_ours(kind) and parameter and takes_module(parameter.annotation)
            if isinstance(value, dict) and ('type' in value or default or is_part):
                named = value.get('type', default)
                if is_ours(kind) or (isinstance(named, str) and registry.get(named) is not None):
                    yield Part(name, value, 'MODELS', 'model', default)
        elif key in _NESTED.get(part.kind, {}):
            inner = _NESTED[part.kind][key]
            what = kinds.get(inner, 'part')
            complete = inner == 'TRANSFORMS'
            for entry, one in _flat(name, value):
                yield Part(entry, one, inner, what, complete=complete)


def _flat(name: str, value: Any) -> Iterator[Tuple[str, Any]]:
    if isinstance(value, (list, tuple)):
        for index, one in enumerate(value):
            yield from _flat(f'{name}.{index}', one)
    elif value is not None:
        yield name, value
