"""Record of a run beside its results: recipe, versions, git state, seed and data."""

import hashlib
import json
import platform
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, Optional

import mmcv
import mmengine
import mmpretrain
import numpy
import open_clip
import torch
from mmengine.dist import get_world_size, is_main_process

from ...io.errors import UserError
from ...io.json_file import read_json, write_json
from ...tuners.classifier import CLIPClassifier
from ...tuners.provenance import Provenance

RUN_FILE = 'run.json'


def versions() -> Dict[str, str]:
    """Versions of Python and of the packages that results depend on, by name."""
    packages = (torch, numpy, mmengine, mmcv, mmpretrain, open_clip)
    return dict(
        {package.__name__: str(package.__version__) for package in packages},
        python=platform.python_version(),
    )


@lru_cache
def git_state() -> Optional[Dict[str, Any]]:
    """``commit`` of the checkout that this package runs from, and ``changed``.

    ``changed`` is whether tracked files differ from the commit. None without git or a checkout.
    """
    folder = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ['git', '-C', str(folder), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        ).stdout.strip()

    try:
        if not git('ls-files', '--', Path(__file__).name):
            return None  # an installed copy inside another repository
        return dict(
            commit=git('rev-parse', 'HEAD'),
            changed=bool(git('status', '--porcelain', '--untracked-files=no')),
        )
    except (OSError, subprocess.SubprocessError):
        return None


def split_hash(dataset: Any) -> Optional[str]:
    """sha256 over path and label of all images, in order; paths are relative to the data root.

    If the images have masks of others (``mask_of``), also over the paths of these.
    None if the items are not files.
    """
    if not hasattr(dataset, 'get_data_info'):
        return None
    digest, root = hashlib.sha256(), f'{getattr(dataset, "data_root", "")}/'
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        if 'img_path' not in info:
            return None
        entry = [str(info['img_path']).removeprefix(root), int(info['gt_label'])]
        if getattr(dataset, 'mask_of', 'own') != 'own' and info.get('mask_path') is not None:
            entry.append(str(info['mask_path']).removeprefix(root))
        digest.update(json.dumps(entry).encode())
    return digest.hexdigest()


def write_record(runner, part: str, split: Optional[str] = None) -> None:
    """Write the record of a run to ``run.json`` in its work dir, on rank 0.

    Args:
        runner: MMEngine's Runner.
        part: key of the record in the file, ``train`` or ``test``; the other part is unchanged.
        split: :func:`split_hash` of the training set.
    """
    if not is_main_process():
        return
    path = Path(runner.work_dir) / RUN_FILE
    try:
        before = dict(read_json(path))
    except (OSError, TypeError, ValueError):
        before = {}
    config = json.loads(json.dumps(runner.cfg.to_dict(), default=str))
    record = dict(
        command=sys.argv,
        seed=runner.seed,
        processes=get_world_size(),
        split=split,
        versions=versions(),
        git=git_state(),
        recipe=runner.cfg.get('recipe_hash'),
        config=config,
    )
    write_json(path, {**before, part: record})


def check_continuation(
    recorded: Provenance, state: Dict[str, torch.Tensor], model: CLIPClassifier, dataset: Any
) -> None:
    """Refuse to resume training on other data or classes, another tuner or number of processes.

    Args:
        recorded: provenance of the checkpoint.
        state: parameters in the checkpoint.
        model: its frozen tuner, if it has one, is already loaded.
        dataset: of training images.

    Raises:
        UserError: names what differs.
    """
    was_classes, classes = list(recorded.class_names), list(dataset.metainfo.get('classes', ()))
    if was_classes and was_classes != classes:
        lengths = len(was_classes), len(classes)
        was, now = next(((a, b) for a, b in zip(was_classes, classes) if a != b), lengths)
        raise _changed('classes', was, now)
    for what, before, now in (
        ('list of training images', recorded.split, split_hash(dataset)),
        ('number of processes', recorded.processes, get_world_size()),
    ):
        if before is not None and before != now:
            raise _changed(what, before, now)
    if hasattr(model, 'tuner'):
        for key, value in model.tuner.state_dict().items():
            if not torch.equal(value.cpu(), state.get(f'tuner.{key}', torch.empty(0))):
                raise UserError(
                    'the run cannot be resumed: the tuner below FVG-PT is a different one, '
                    f'{key} differs. Give the model.backbone_checkpoint it was started with, or '
                    'start again in another --work-dir'
                )


def _changed(what: str, before: object, now: object) -> UserError:
    return UserError(
        f'the run cannot be resumed: its {what} changed, from {before!r} to {now!r}. Set it as it '
        'was, or start again in another --work-dir'
    )
