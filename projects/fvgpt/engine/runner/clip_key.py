"""The CLIP of a recipe: named at the top and in the model, and one and the same."""

from copy import deepcopy
from typing import Optional, Tuple

from mmengine.config import Config, ConfigDict

from ...io.errors import UserError
from .changes import with_bases


def tuner_part(config: Config) -> Tuple[str, Optional[ConfigDict]]:
    """Key and config of the tuner: the model, or what stands in it, below test-time augmentation too."""
    name, part = 'model', config.get('model')
    for inner in ('module', 'tuner'):
        if isinstance(part, dict) and isinstance(part.get(inner), dict):
            name, part = f'{name}.{inner}', part[inner]
    return name, part if isinstance(part, dict) else None


def settle_clip(config: Config, before: Optional[Config] = None) -> None:
    """Make ``clip`` at the top of a recipe and the ``clip`` of its tuner equal, in place.

    Of two that differ, the one that was changed holds, beside the nearest file (the recipe's own, then its bases) in which they
    are equal. So either may be set: by an option, in a config of one's own, or in Python.

    Args:
        config: the recipe. before: it before it was changed, for one that comes from no file.

    Raises:
        UserError: both were changed, or no file has them equal.
    """
    name, part = tuner_part(config)
    if 'clip' not in config or part is None:
        return
    top, own = _plain(config.clip), _plain(part.get('clip'))
    if own is not None and own != top:
        common = _last_common(config, before)
        if common == top:
            config.clip = ConfigDict(deepcopy(own))
        elif common != own:
            key = next(k for k in {**top, **own} if top.get(k) != own.get(k))
            raise UserError(
                f'clip.{key} is {top.get(key)!r} and {name}.clip.{key} is {own.get(key)!r}: they are one CLIP, set '
                'only one of them, or both alike'
            )
    part['clip'] = deepcopy(config.clip)


def _plain(clip: Optional[dict]) -> Optional[dict]:
    return clip and {key: value for key, value in clip.items() if key != '_scope_'}


def _last_common(config: Config, before: Optional[Config]) -> Optional[dict]:
    files = with_bases(config.filename) if config.filename else ()
    for file in [before] if before else files:
        part = tuner_part(file)[1]
        if 'clip' in file and part and _plain(file.clip) == _plain(part.get('clip')):
            return _plain(file.clip)
    return None
