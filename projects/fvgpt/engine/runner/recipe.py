"""Read, train and evaluate recipes by their path, as the commands do."""

from typing import Dict, Optional

import torch
from mmengine.config import Config

from ...evaluation.results import nested_results
from ...io.errors import UserError
from ...registry import RUNNERS
from .options import check_options, read_recipe
from .prompt_tuning_runner import PromptTuningRunner
from .resolve import resolve, tuner_options
from .resume import numbered_checkpoints


def load_recipe(path: str, options: Optional[dict] = None) -> Config:
    """Read a recipe, apply command-line options and resolve it, see :func:`~.resolve.resolve`.

    Raises:
        MissingFileError: the file does not exist.
        UserError: the first key of an option is unknown.
    """
    return resolve(_read(path, options))


def _read(path: str, options: Optional[dict]) -> Config:
    config = read_recipe(path)
    if options:
        check_options(config, options)
        config.merge_from_dict(options)
        if 'tuner_recipe' in config:
            # an option that repeats the value of stage 2's file is not a change that resolve() sees
            config.tuner_options = {**config.get('tuner_options', {}), **tuner_options(options)}
    return config


def run_recipe(
    path: str,
    work_dir: str,
    options: Optional[dict] = None,
    resume: bool = False,
    amp: bool = False,
    launcher: str = 'none',
    test: bool = True,
) -> Optional[Dict[str, Dict[str, float]]]:
    """Train and evaluate a recipe; see ``tools/train.py``.

    Args:
        path: the recipe.
        work_dir: folder for checkpoints, logs and ``results.json``; stage 1 uses
            ``<work_dir>/tuner``.
        options: ``--cfg-options``.
        resume: continue from the last checkpoints in ``work_dir``.
        amp: train with mixed precision.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.
        test: evaluate at the end.

    Returns:
        The content of ``results.json``; None without ``test``.
    """
    config = _read(path, options)
    if amp:
        use_amp(config)
    if resume and numbered_checkpoints(work_dir):
        config.load_from = None  # they come from it
    config.resume = resume and not config.get('load_from')
    runner = build_runner(config, work_dir, launcher)
    with runner.claimed():
        runner.train()
        return nested_results(runner.test()) if test else None


def evaluate_recipe(
    path: str,
    checkpoint: str,
    work_dir: str,
    options: Optional[dict] = None,
    launcher: str = 'none',
) -> Dict[str, Dict[str, float]]:
    """Evaluate a checkpoint of a recipe; see ``tools/test.py`` and :func:`run_recipe`."""
    config = _read(path, options)
    config.load_from, config.resume = checkpoint, False
    return nested_results(build_runner(config, work_dir, launcher).test())


def build_runner(config: Config, work_dir: str, launcher: str = 'none') -> PromptTuningRunner:
    """Build the Runner of a recipe; its ``runner_type`` may be another than ours.

    Raises:
        UserError: wrong input, see :class:`~.prompt_tuning_runner.PromptTuningRunner`.
    """
    config.work_dir, config.launcher = work_dir, launcher
    config.setdefault('runner_type', PromptTuningRunner.__name__)
    return RUNNERS.build(config)


def use_amp(config: Config) -> None:
    """Switch a recipe to mixed precision.

    Raises:
        UserError: there is no GPU.
    """
    if not torch.cuda.is_available():
        raise UserError('--amp needs a GPU, and torch finds none here; leave it out')
    config.optim_wrapper.type = 'AmpOptimWrapper'
    config.optim_wrapper.setdefault('loss_scale', 'dynamic')
