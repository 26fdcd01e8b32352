"""Resume a stopped run from its latest complete checkpoint, with unchanged settings."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from mmengine.config import Config
from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import print_log

from ...io.atomic_write import atomic_write
from ...io.errors import UserError
from ...io.literals import literal_values
from ...tuners.checkpoint import read_checkpoint
from ...tuners.provenance import Provenance

_TRAINING_KEYS = (
    'model',
    'train_dataloader',
    'optim_wrapper',
    'param_scheduler',
    'train_cfg',
    'randomness',
)
# Keys at any depth that affect speed and paths only, not results. Of a tuner's checkpoint the
# parameters are compared, not the path.
_NO_MATTER = (
    'num_workers',
    'persistent_workers',
    'prefetch_factor',
    'pin_memory',
    'collate_fn',  # a batch as a list or a tensor: the data preprocessor accepts both
    'cache_dir',
    'max_text_tokens',
    'backbone_checkpoint',
    'fold_checkpoints',
)
_CHECKPOINT = re.compile(r'(?:epoch|iter)_(\d+)\.pth')  # as CheckpointHook names them


class AtomicWriteBackend(LocalBackend):
    """MMEngine's local file backend with atomic writes.

    It is used by ``backend_args=dict(backend='atomic_write')``.
    """

    def put(self, obj: bytes, filepath: str) -> None:
        """Write a file under a temporary name and rename it when it is complete."""
        with atomic_write(Path(filepath)) as partial:
            super().put(obj, partial)


register_backend('atomic_write', AtomicWriteBackend, force=True)


def training_settings(config: Dict[str, Any]) -> Dict[str, Any]:
    """The settings that determine a training run, as ``{'optim_wrapper.optimizer.lr': .002, ...}``.

    Weights and data are represented by their names.
    """
    chosen = {key: config.get(key) for key in _TRAINING_KEYS}
    return dict(
        _leaves({**chosen, 'feature_cache.views': (config.get('feature_cache') or {}).get('views')})
    )


def _leaves(value: Any, name: str = '') -> Iterator[Tuple[str, Any]]:
    if isinstance(value, (dict, list, tuple)) and value:
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            if key not in _NO_MATTER:
                yield from _leaves(part, f'{name}.{key}' if name else str(key))
    else:
        yield name, json.loads(json.dumps(value, default=str))


def recipe_hash(config: Dict[str, Any]) -> str:
    """Hash of :func:`training_settings`."""
    return hashlib.sha256(
        json.dumps(training_settings(config), sort_keys=True).encode()
    ).hexdigest()[:16]


def changed_settings(config: Dict[str, Any], meta: Dict[str, Any]) -> List[str]:
    """Differences between a recipe and the run that wrote a checkpoint with this ``meta``.

    One text per changed setting; empty if there are none.
    """
    if Provenance.of_checkpoint(dict(meta=meta)).recipe == recipe_hash(config):
        return []
    try:
        before = training_settings(
            literal_values(str(meta.get('cfg')), (*_TRAINING_KEYS, 'feature_cache'))
        )
    except ValueError as error:
        return [f'its recipe cannot be compared: {error}']
    now = training_settings(config)
    return [
        f'{key} was {before.get(key)!r}, is {now.get(key)!r}'
        for key in {**before, **now}
        if before.get(key) != now.get(key)
    ]


def check_settings(config: Config, checkpoint: Path, meta: Dict[str, Any]) -> None:
    """Check that a checkpoint in a work dir was trained with the settings of this recipe.

    Raises:
        UserError: settings differ; the message names them.
    """
    changes = changed_settings(config, meta)
    if changes:
        more = f' and {len(changes) - 4} more' if len(changes) > 4 else ''
        raise UserError(
            f'{checkpoint} was trained with other settings than this recipe has: '
            f'{"; ".join(changes[:4])}{more}. '
            f'Choose another --work-dir, delete {checkpoint.parent}, or set them as they were'
        )


def numbered_checkpoints(work_dir: str) -> List[Path]:
    """The checkpoints in a work dir, earliest first."""
    numbered = {
        int(match[1]): file
        for file in Path(work_dir).glob('*.pth')
        if (match := _CHECKPOINT.fullmatch(file.name))
    }
    return [file for _, file in sorted(numbered.items())]


def newest_checkpoint(config: Config, work_dir: str) -> Optional[str]:
    """The checkpoint to resume a run from; None if there is none yet.

    The file ``last_checkpoint`` is not used, because a run may be killed while MMEngine writes it.

    Raises:
        UserError: every checkpoint there is broken or was trained with other settings; the message
            names what differs.
    """
    problem: Optional[ValueError] = None
    for file in reversed(numbered_checkpoints(work_dir)):
        try:
            check_settings(config, file, read_checkpoint(str(file)).get('meta', {}))
        except ValueError as error:
            problem = problem or error
            continue
        if problem:
            print_log(f'{problem}; the run goes on from {file}', 'current', level=30)
        return str(file)
    if problem:
        raise problem
    return None
