"""Stage 1 of an FVG-PT recipe: the tuner's own recipe with the changes made to this one."""

import os
from copy import deepcopy
from pathlib import Path
from typing import List, Optional

from mmengine.config import Config

from ...io.errors import UserError
from .folds import fold_count
from .options import DATASET_KEYS, check_options, read_recipe
from .resolve import resolve


def tuner_config(config: Config) -> Optional[Config]:
    """The resolved recipe of stage 1, with the work dir ``<work_dir>/tuner``.

    None if stage 1 is not needed: the recipe has no stage 1, or its tuner has a checkpoint.

    Args:
        config: the resolved recipe of stage 2. Its ``data_root``, ``layout``, ``num_shots``,
            ``seed`` and ``clip`` also apply to stage 1; of the other keys, those that were changed
            after the file was read (``tuner_options``).

    Raises:
        UserError: the tuner's recipe does not exist, or it does not have a key that was changed.
    """
    if not config.get('tuner_recipe') or config.model.get('backbone_checkpoint'):
        return None
    return _stage_one(config, 'tuner')


def fold_configs(config: Config) -> List[Config]:
    """The K resolved recipes of the tuners that PC is trained on, see ``calibration_folds``.

    They are that of stage 1 with ``held_out_fold`` and the work dir ``<work_dir>/tuner_fold1of2``
    and so on. Empty if there are no folds, or the tuners have checkpoints (``fold_checkpoints``).

    Args:
        config: see :func:`tuner_config`.

    Raises:
        UserError: as in :func:`tuner_config`; or the tuner was not made by this recipe's stage 1,
            so that no recipe is known to belong to it.
    """
    count = fold_count(config.model)
    if not count or config.model.get('fold_checkpoints'):
        return []
    given = 'model.backbone_checkpoint' if config.model.get('backbone_checkpoint') else None
    if config.get('load_from') and not config.get('resume'):
        given = 'load_from'
    if given or not config.get('tuner_recipe'):
        raise UserError(
            f'model.calibration_folds={count} needs model.fold_checkpoints too, the {count} '
            'checkpoints of the tuner trained with held_out_fold.number=1, 2, ... and '
            f'held_out_fold.of={count}, because '
            + (f'the tuner is given by {given}' if given else 'the recipe has no tuner_recipe')
        )
    if config.get('held_out_fold'):
        raise UserError('a recipe has either held_out_fold or model.calibration_folds, not both')
    return [
        _stage_one(
            config,
            f'tuner_fold{number}of{count}',
            held_out_fold=dict(number=number, of=count),
        )
        for number in range(1, count + 1)
    ]


def _stage_one(config: Config, folder: str, **keys) -> Config:
    tuner = read_recipe(config.tuner_recipe)
    options = dict(config.get('tuner_options', {}))
    check_options(tuner, options)
    shared = {key: deepcopy(config[key]) for key in (*DATASET_KEYS, 'clip') if key in config}
    tuner.merge_from_dict({**shared, **options})
    if 'clip' in config:
        tuner.clip = deepcopy(config.clip)
        tuner.model.clip = deepcopy(config.clip)
    tuner.update(
        work_dir=os.path.join(config.work_dir, folder),
        launcher=config.get('launcher', 'none'),
        **keys,
    )
    tuner.setdefault('runner_type', config.get('runner_type', 'PromptTuningRunner'))
    return resolve(tuner)


def tuner_checkpoint(config: Config) -> Path:
    """Path of the checkpoint that stage 1 with this recipe writes at its end."""
    return Path(config.work_dir) / f'epoch_{config.train_cfg.max_epochs}.pth'
