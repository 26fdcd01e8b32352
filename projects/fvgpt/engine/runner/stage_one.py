"""Stage 1 of an FVG-PT recipe: the tuner's own recipe with the changes made to this one."""

import os
from copy import deepcopy
from pathlib import Path
from typing import Optional

from mmengine.config import Config

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
    tuner = read_recipe(config.tuner_recipe)
    options = dict(config.get('tuner_options', {}))
    check_options(tuner, options)
    shared = {key: deepcopy(config[key]) for key in (*DATASET_KEYS, 'clip') if key in config}
    tuner.merge_from_dict({**shared, **options})
    if 'clip' in config:
        tuner.clip = deepcopy(config.clip)
        tuner.model.clip = deepcopy(config.clip)
    tuner.update(
        work_dir=os.path.join(config.work_dir, 'tuner'), launcher=config.get('launcher', 'none')
    )
    tuner.setdefault('runner_type', config.get('runner_type', 'PromptTuningRunner'))
    return resolve(tuner)


def tuner_checkpoint(config: Config) -> Path:
    """Path of the checkpoint that stage 1 with this recipe writes at its end."""
    return Path(config.work_dir) / f'epoch_{config.train_cfg.max_epochs}.pth'
