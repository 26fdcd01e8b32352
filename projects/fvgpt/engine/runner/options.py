"""Options of the command line: a misspelt one is found before anything is trained, and says what may have been meant."""

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
)  # top-level keys of a recipe that every data set takes
# Beside a Runner's: keys that this project reads, and those that other commands of OpenMMLab do
_FURTHER_KEYS = (
    *DATASET_KEYS,
    'clip',
    'feature_cache',
    'tuner_recipe',
    'custom_imports',
    'model_wrapper_cfg',
    'tta_model',
    'tta_pipeline',
    'tta_cfg',
    'runner_type',
    'tuner_options',
    'resolved',
    'recipe_hash',
)

# An option -> the key at the top that takes its place
_OVERWRITTEN = re.compile(
    rf'(?:train|val|test)_dataloader\.(?:\d\.)?dataset\.({"|".join(DATASET_KEYS)})'
)


def check_options(config: Config, options: Iterable[str]) -> None:
    """Refuse options that would change nothing, or that lead nowhere.

    Args:
        config: the recipe before they are merged. options: keys, with dots.

    Raises:
        ValueError: nobody reads the key that an option begins with; a key at the top of the recipe, which holds for all of it,
            overwrites it; or it does not say which entry of a list is meant.
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
                f'{option}=... would be overwritten by a key at the top of the recipe: give {key}=...'
            )
        part = config.get(path[0])
        of_one_test = path[0] == 'test_dataloader' and path[1:] and path[1].isdigit()
        if of_one_test and isinstance(part, dict):
            raise UserError(
                f'test_dataloader is one loader: give test_dataloader.{".".join(path[2:])}=... for all tests, or '
                f'test_cfg.tests.{path[1]}.KEY=... for the data set of one'
            )
        for depth, step in enumerate(path[1:], 1):
            if isinstance(part, (list, tuple)):
                if not (step.isdigit() and int(step) < len(part)):
                    name = '.'.join(path[:depth])
                    raise UserError(
                        f'{name} is a list of {len(part)} in the recipe, and {option}=... must say which entry: '
                        f'{name}.0 is the first'
                    )
                part = part[int(step)]
            else:
                part = part.get(step) if isinstance(part, dict) else None


def check_loader(loader: dict) -> None:
    """Refuse keys of a data loader that neither MMEngine nor torch takes.

    Raises:
        ValueError: names the key.
    """
    known = [*inspect.signature(DataLoader.__init__).parameters, 'num_batch_per_epoch']
    for key in loader:
        if key not in known:
            raise UserError(
                f'a data loader of the recipe has the unknown key {key!r}{suggest(key, known)}'
            )


def read_recipe(path: str) -> Config:
    """A config file as MMEngine reads it.

    Raises:
        FileNotFoundError: it is not there, or one of its bases; says what may have been meant.
        ValueError: it, or one of its bases, is no Python; says the line.
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
    except SyntaxError as error:  # MMEngine does not say in which file
        raise UserError(
            f'{path}, or a file that it has as _base_, is no Python in line {error.lineno}: {error.msg}'
        ) from error
