"""What was changed in a config since its file was read: by options of a command, or by a Python
program."""

from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Tuple

from mmengine.config import Config


def as_written(config: Config) -> Optional[Config]:
    """The config as its file has it; None if it comes from no file, or the file is gone."""
    if not config.filename or not Path(config.filename).is_file():
        return None
    return Config.fromfile(config.filename)


def with_bases(path: str) -> Iterator[Config]:
    """The config of a file, and then that of each file that it has as ``_base_``, directly or
    not."""
    yield Config.fromfile(path)
    for base in Config._get_base_files(path):
        yield from with_bases(Config._get_cfg_path(base, path)[0])


def changes(before: Config, now: Config) -> Dict[str, Any]:
    """The options, ``{'train_cfg.max_epochs': 5, ...}``, that make ``before`` what ``now`` is.

    Keys that are gone are left out, unless the ``type`` beside them has changed too: then the whole
    part has.
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
    """In place of a value that is not there."""


def _is_another(before: dict, now: dict) -> bool:
    return before.get('type') != now.get('type') and bool(set(before) - set(now))


def _alike(before: Any, now: Any) -> bool:
    """Whether both are lists of as many parts, which are compared one by one."""
    return (
        isinstance(before, (list, tuple))
        and isinstance(now, (list, tuple))
        and len(before) == len(now)
        and any(isinstance(one, dict) for one in now)
    )
