"""Options of the command line: a misspelt one is found before anything is trained, and says what may have been meant."""
import inspect
from difflib import get_close_matches
from pathlib import Path
from typing import Iterable

from mmengine.config import Config
from mmengine.runner import Runner

DATASET_KEYS = ('data_root', 'layout', 'num_shots', 'seed')  # top-level keys of a recipe that every data set takes
# Beside a Runner's: keys that this project reads, and those that other commands of OpenMMLab do
_FURTHER_KEYS = (*DATASET_KEYS, 'clip', 'feature_cache', 'tuner_recipe', 'custom_imports', 'model_wrapper_cfg', 'tta_model',
                 'tta_pipeline', 'tta_cfg')


def check_options(config: Config, options: Iterable[str]) -> None:
    """Refuse options that would change nothing: nobody reads the key that they begin with.

    Args:
        config: the recipe before they are merged. options: keys, with dots.

    Raises:
        ValueError: names the option.
    """
    known = [*config, *inspect.signature(Runner.__init__).parameters, *_FURTHER_KEYS]
    for option in options:
        first = option.split('.')[0]
        if first not in known:
            raise ValueError(f'the recipe has no key {first!r}, {option}=... would change nothing{did_you_mean(first, known)}')


def require_recipe(path: str) -> None:
    """Raises:
        FileNotFoundError: there is no such recipe; says which one may have been meant, or where it was looked for.
    """
    file = Path(path)
    if not file.is_file():
        beside = [str(other) for other in file.parent.glob('*.py')]
        hint = did_you_mean(path, beside) or ('' if file.is_absolute() else f' in {Path.cwd()}')
        raise FileNotFoundError(f'there is no recipe {path}{hint}')


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message: the known name that is most like a wrong one; empty where none is."""
    close = get_close_matches(name, list(known), 1)
    return f'; did you mean {close[0]}?' if close else ''
