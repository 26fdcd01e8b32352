"""Check command-line options before training, and suggest the right key for a misspelt one."""

import inspect
import re
from pathlib import Path
from typing import Iterable

from mmengine.config import Config
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from ...io.errors import MissingFileError, UserError
from ...io.suggest import missing_file, suggest

DATASET_KEYS = (
    'data_root',
    'layout',
    'num_shots',
    'seed',
)  # top-level keys of a recipe that are passed to every data set
# Known keys besides those of a Runner: read by this project or by other commands of OpenMMLab
_FURTHER_KEYS = (
    *DATASET_KEYS,
    'clip',
    'feature_cache',
    'feature_file',
    'feature_keys',
    'feature_scale',
    'tuner_recipe',
    'custom_imports',
    'model_wrapper_cfg',
    'tta_model',
    'tta_pipeline',
    'tta_cfg',
    'runner_type',
    'tuner_options',
    'resolved',
    'held_out_fold',
    'recipe_hash',
)

# Matches options that a key at the top of the recipe would overwrite
_OVERWRITTEN = re.compile(
    rf'(?:train|val|test)_dataloader\.(?:\d\.)?dataset\.({"|".join(DATASET_KEYS)})'
)


def check_options(config: Config, options: Iterable[str]) -> None:
    """Refuse options that have no effect or do not name an existing place.

    Args:
        config: the recipe before the options are merged.
        options: dotted keys.

    Raises:
        UserError: the first key of an option is unknown; a key at the top of the recipe would
            overwrite the option; or the option does not select an entry of a list.
    """
    known = [*config, *inspect.signature(Runner.__init__).parameters, *_FURTHER_KEYS]
    for option in options:
        path = option.split('.')
        if path[0] not in known:
            raise UserError(
                f'the recipe has no key {path[0]!r}, {option}=... would change nothing'
                f'{suggest(path[0], known)}'
            )
        above = _OVERWRITTEN.fullmatch(option)
        key = above and above[1]
        if key in config:
            raise UserError(
                f'{option}=... would be overwritten by a key at the top of the recipe: '
                f'give {key}=...'
            )
        part = config.get(path[0])
        of_one_test = path[0] == 'test_dataloader' and path[1:] and path[1].isdigit()
        if of_one_test and isinstance(part, dict):
            raise UserError(
                f'test_dataloader is one loader: give test_dataloader.{".".join(path[2:])}=... '
                f'for all tests, or test_cfg.tests.{path[1]}.KEY=... for the data set of one'
            )
        for depth, step in enumerate(path[1:], 1):
            if isinstance(part, (list, tuple)):
                if not (step.isdigit() and int(step) < len(part)):
                    name = '.'.join(path[:depth])
                    raise UserError(
                        f'{name} is a list of {len(part)} in the recipe, and {option}=... must '
                        f'say which entry: {name}.0 is the first'
                    )
                part = part[int(step)]
            else:
                part = part.get(step) if isinstance(part, dict) else None


def check_loader(loader: dict) -> None:
    """Refuse keys of a data loader that neither MMEngine nor torch accepts.

    Raises:
        UserError: a key is unknown; the message names it.
    """
    known = [*inspect.signature(DataLoader.__init__).parameters, 'num_batch_per_epoch']
    for key in loader:
        if key not in known:
            raise UserError(
                f'a data loader of the recipe has the unknown key {key!r}{suggest(key, known)}'
            )


def read_recipe(path: str) -> Config:
    """Read a config file with MMEngine.

    Raises:
        MissingFileError: the file or one of its bases does not exist; similar names are suggested.
        UserError: the file or one of its bases is not valid Python; the message names the line.
    """
    if not Path(path).is_file():
        raise missing_file('recipe', path, '.py')
    try:
        return Config.fromfile(path)
    except FileNotFoundError as error:
        missing = f'there is no {error.filename}' if error.filename else str(error)
        raise MissingFileError(
            f'{path}: {missing}. Paths of _base_ are relative to their file; '
            'fvgpt::fvgpt/coop_fvg_custom.py is found from anywhere'
        ) from error
    except SyntaxError as error:  # which does not name the file
        raise UserError(
            f'{path}, or one of its _base_ files, is not valid Python in line {error.lineno}: '
            f'{error.msg}'
        ) from error
