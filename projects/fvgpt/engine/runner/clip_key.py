"""The CLIP of a recipe: ``clip`` at the top level and in the model are kept equal."""

from copy import deepcopy
from typing import Optional, Tuple

from mmengine.config import Config, ConfigDict

from ...io.errors import UserError
from .changes import with_bases

_ABSENT = object()  # in place of a value that is not there


def tuner_part(config: Config) -> Tuple[str, Optional[ConfigDict]]:
    """Key and config of the tuner: the model itself or the ``tuner`` inside it.

    The model may be wrapped for test-time augmentation.
    """
    name, part = 'model', config.get('model')
    for inner in ('module', 'tuner'):
        if isinstance(part, dict) and isinstance(part.get(inner), dict):
            name, part = f'{name}.{inner}', part[inner]
    return name, part if isinstance(part, dict) else None


def settle_clip(config: Config, before: Optional[Config] = None) -> None:
    """Make ``clip`` at the top of a recipe and the ``clip`` of its tuner equal, in place.

    If they differ, they are compared with the nearest file (the recipe's own, then its bases) in
    which they are equal, and each key takes the changed value. So either of the two can be set: by
    an option, in a user's config, or in Python.

    Args:
        config: the recipe.
        before: the recipe before any change, if it was not read from a file.

    Raises:
        UserError: a key has two different new values, or the two are equal in no file.
    """
    name, part = tuner_part(config)
    if 'clip' not in config or part is None:
        return
    own = part.get('clip')
    if own is not None and _plain(own) != _plain(config.clip):
        config.clip = _merged(name, _plain(config.clip), _plain(own), _last_common(config, before))
    part['clip'] = deepcopy(config.clip)


def _merged(name: str, top: dict, own: dict, common: Optional[dict]) -> ConfigDict:
    """Merge two CLIP configs key by key: the value that differs from ``common`` wins."""
    merged = {}
    for key in {**top, **own}:
        old, above, inside = ((clip or {}).get(key, _ABSENT) for clip in (common, top, own))
        if above != inside and (common is None or old not in (above, inside)):
            raise UserError(
                f'clip.{key} is {top.get(key)!r} and {name}.clip.{key} is {own.get(key)!r}: '
                'they are one CLIP, set only one of them, or both alike'
            )
        merged[key] = inside if above == old else above
    return ConfigDict({key: deepcopy(v) for key, v in merged.items() if v is not _ABSENT})


def _plain(clip: dict) -> dict:
    return {key: value for key, value in clip.items() if key != '_scope_'}


def _last_common(config: Config, before: Optional[Config]) -> Optional[dict]:
    files = with_bases(config.filename) if config.filename else ()
    for file in [before] if before else files:
        part = tuner_part(file)[1]
        if 'clip' in file and part and _plain(file.clip) == _plain(part.get('clip') or {}):
            return _plain(file.clip)
    return None
