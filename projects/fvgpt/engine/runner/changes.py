"""Changes made to a config after its file was read: by command-line options or in Python."""

from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Tuple

from mmengine.config import Config


def as_written(config: Config) -> Optional[Config]:
    """The config read again from its file; None if there is no file or it no longer exists."""
    if not config.filename or not Path(config.filename).is_file():
        return None
    return Config.fromfile(config.filename)


def with_bases(path: str) -> Iterator[Config]:
    """The config of a file, followed by those of its direct and indirect ``_base_`` files."""
    yield Config.fromfile(path)
    for base in Config._get_base_files(path):
        yield from with_bases(Config._get_cfg_path(base, path)[0])


def changes(before: Config, now: Config) -> Dict[str, Any]:
    """The options, such as ``{'train_cfg.max_epochs': 5}``, that turn ``before`` into ``now``.

    Removed keys are not listed. If the ``type`` of a part changed, the whole part is one option.
    """
    return dict(_changes(before.to_dict(), now.to_dict(), ''))


def _changes(before: Any, now: Any, name: str) -> Iterator[Tuple[str, Any]]:
    if isinstance(before, dict) and isinstance(now, dict) and not _is_another(before, now):
        for key, value in now.items():
            yield from _changes(before.get(key, _Absent), value, f'{name}.{key}' if name else key)
    elif _alike(before, now):
        for index, (one, other) in enumerate(zip(before, now)):
            yield from _changes(one, other, f'{name}.{index}')
    elif before is _Absent or before != now:
        replaced = isinstance(before, dict) and isinstance(now, dict)
        yield name, dict(now, _delete_=True) if replaced else now


class _Absent:
    """Stands for a missing value."""


def _is_another(before: dict, now: dict) -> bool:
    return before.get('type') != now.get('type') and bool(set(before) - set(now))


def _alike(before: Any, now: Any) -> bool:
    """Whether both are lists of parts with equal length, which are compared entry by entry."""
    return (
        isinstance(before, (list, tuple))
        and isinstance(now, (list, tuple))
        and len(before) == len(now)
        and any(isinstance(one, dict) for one in now)
    )
