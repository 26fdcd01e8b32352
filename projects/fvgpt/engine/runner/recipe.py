"""Running a recipe: resolve its keys, check its inputs, tune, put FVG-PT on top, evaluate."""

import os
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Dict, Iterator, Optional, Sequence

import torch
from filelock import FileLock, Timeout
from mmengine.config import Config, ConfigDict
from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log
from mmengine.registry import DATASETS, MODELS, init_default_scope
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from ...evaluation.results import nested_results, results_table
from ...io.atomic_write import explain_write_errors
from ...io.errors import UserError
from ...io.json_file import write_json
from ...tuners.checkpoint import read_checkpoint
from ...tuners.classifier import tuner_of, unwrapped
from .config_parts import (
    built_datasets,
    datasets_of,
    is_few_shot,
    join_test_loaders,
    loaders_of,
    subset_tests,
)
from .distributed import prepare_distributed
from .image_size import fit_image_size
from .loader_defaults import set_loader_defaults
from .options import DATASET_KEYS, check_loader, check_options, read_recipe
from .resume import check_settings, newest_checkpoint, recipe_hash

RUN_LOCK = '.running'  # in a work dir, held by the process that trains there


def load_recipe(path: str, options: Optional[dict] = None) -> Config:
    """Read a recipe and apply command-line options.

    The top-level keys ``data_root``, ``layout``, ``num_shots``, ``seed`` and ``clip`` hold for the whole recipe: they are
    handed to every data set (``seed`` also to MMEngine; other people's data sets take ``data_root`` alone, those inside
    MMEngine's ConcatDataset keep their own) and to the CLIP of the model, so that one option changes them all. The pipelines'
    sizes follow the CLIP, see :func:`fit_image_size`.

    Raises:
        FileNotFoundError: no such file. ValueError: an option begins with a key that nobody reads.
    """
    config = read_recipe(path)
    if options:
        check_options(config, options)
        config.merge_from_dict(options)
    if config.get('custom_imports'):
        import_modules_from_strings(**config['custom_imports'])
    join_test_loaders(config)
    for dataset in datasets_of(config, joined=False):
        for key in DATASET_KEYS if is_few_shot(dataset) else ['data_root']:
            if key in config:
                dataset[key] = config[key]
    overrides = [test for test in subset_tests(config) if 'type' not in test]
    fit_image_size(config, [*datasets_of(config), *overrides])
    if 'seed' in config:
        config.setdefault('randomness', {})['seed'] = config.seed
    if 'clip' in config:
        model = config.model
        (model.tuner if 'tuner' in model else model)['clip'] = deepcopy(config.clip)
    if config.get('feature_cache'):
        hook = dict(type='FeatureCacheHook', **config.feature_cache)
        config.custom_hooks = [*config.get('custom_hooks', []), hook]
    return config


def check_inputs(config: Config, parts: Sequence[str] = ('train', 'val', 'test')) -> None:
    """Build each data set, so that a wrong path is one error in the first second; of those with masks also the list, so that a
    missing or wrong mask is not found when stage 1 is over; nor is a wrong key of the loader of a test."""
    for loader in loaders_of(config, parts):
        check_loader(loader)
    init_default_scope(config.get('default_scope', 'mmpretrain'))
    for dataset in built_datasets(config, parts):
        DATASETS.build(dict(dataset, lazy_init=not dataset.get('mask_root'), pipeline=[]))


def build_runner(
    config: Config, work_dir: str, launcher: str = 'none', resume: bool = False
) -> Runner:
    """MMEngine's Runner for a resolved recipe.

    Raises:
        FileNotFoundError, ValueError: the checkpoint that it would begin with is missing, broken, or of other settings.
    """
    # Formatting the text by yapf, as MMEngine does for each checkpoint, takes as long as a short epoch from kept features
    config = Config(config.to_dict(), filename=config.filename, format_python_code=False)
    config.work_dir, config.launcher = work_dir, launcher
    config.recipe_hash = recipe_hash(config)
    set_loader_defaults(config)
    latest = newest_checkpoint(config, work_dir) if resume else None
    config.resume = latest is not None
    config.load_from = latest or config.get('load_from')
    if config.load_from and not latest:  # which was read already
        read_checkpoint(config.load_from)
    wrapper = prepare_distributed(launcher)
    if wrapper:
        config.model_wrapper_cfg = wrapper
    return Runner.from_cfg(config)


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
        work_dir: where checkpoints, logs and ``results.json`` go; stage 1 uses ``<work_dir>/tuner``.
        options: ``--cfg-options``.
        resume: go on from the last checkpoints in ``work_dir``.
        amp: train with mixed precision.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.
        test: evaluate at the end.

    Returns:
        The content of ``results.json``; None without ``test``.
    """
    config = load_recipe(path, options)
    if amp:
        use_amp(config)
    check_inputs(config)
    with claimed(work_dir):
        tuner_recipe = config.get('tuner_recipe')
        if tuner_recipe and not config.model.get('backbone_checkpoint'):
            shared = {
                key: deepcopy(config[key]) for key in (*DATASET_KEYS, 'clip') if key in config
            }
            tuner_config = load_recipe(
                str(Path(path).parent / tuner_recipe), {**shared, **tuner_options(options)}
            )
            if amp:
                use_amp(tuner_config)
            config.model.backbone_checkpoint = tune(
                tuner_config, os.path.join(work_dir, 'tuner'), resume, launcher, config.model
            )
        elif config.model.get('backbone_checkpoint'):
            read_checkpoint(config.model.backbone_checkpoint)
        runner = build_runner(config, work_dir, launcher, resume)
        runner.train()
        return report(runner.test(), runner.model, work_dir) if test else None


@contextmanager
def claimed(work_dir: str) -> Iterator[None]:
    """Keep other runs out of a work dir.

    Raises:
        ValueError: one is at work there. OSError: it cannot be written.
    """
    if os.environ.get('RANK', os.environ.get('SLURM_PROCID', '0')) != '0':
        yield  # the first process of a distributed run holds the lock for all
        return
    lock = Path(work_dir) / RUN_LOCK
    with explain_write_errors(Path(work_dir)):
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    try:
        with FileLock(lock, timeout=0):
            yield
    except Timeout as error:
        raise UserError(
            f'another run is at work in {work_dir}; wait for it, or choose another --work-dir'
        ) from error


def evaluate_recipe(
    path: str,
    checkpoint: str,
    work_dir: str,
    options: Optional[dict] = None,
    launcher: str = 'none',
) -> Dict[str, Dict[str, float]]:
    """Evaluate a checkpoint of a recipe; see ``tools/test.py`` and :func:`run_recipe`."""
    config = load_recipe(path, options)
    check_inputs(config, ['test'])
    read_checkpoint(checkpoint)
    # Only what testing needs is built: no training images, no masks, no optimizer.
    for key in ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler'):
        config.pop(key, None)
    config.load_from = checkpoint
    runner = build_runner(config, work_dir, launcher)
    return report(runner.test(), runner.model, work_dir)


def tuner_options(options: Optional[dict]) -> dict:
    """Command-line options that reach stage 1: all but those of the FVGPT model; ``model.tuner.x`` becomes ``model.x``."""
    chosen = {}
    for key, value in (options or {}).items():
        if key.startswith('model.tuner.'):
            chosen['model.' + key[len('model.tuner.') :]] = value
        elif key.split('.')[0] not in ('model', 'tuner_recipe'):
            chosen[key] = value
    return chosen


def use_amp(config: Config) -> None:
    """Switch a recipe to mixed precision.

    Raises:
        ValueError: there is no GPU.
    """
    if not torch.cuda.is_available():
        raise UserError('--amp needs a GPU, and torch finds none here; leave it out')
    config.optim_wrapper.type = 'AmpOptimWrapper'
    config.optim_wrapper.setdefault('loss_scale', 'dynamic')


def tune(config: Config, work_dir: str, resume: bool, launcher: str, above: ConfigDict) -> str:
    """Stage 1: the path of the tuned checkpoint, trained unless it is already there.

    Args:
        config: its recipe. work_dir, resume, launcher: see :func:`run_recipe`.
        above: the model of stage 2, built once so that what is wrong in its config is not found when stage 1 is over.

    Raises:
        ValueError: ``work_dir`` holds a tuner that was trained with other settings.
    """
    final = Path(work_dir) / f'epoch_{config.train_cfg.max_epochs}.pth'
    if final.is_file():
        check_settings(config, final, read_checkpoint(str(final)).get('meta', {}))
        print_log(f'stage 1 is done: {final}', 'current')
        return str(final)
    MODELS.build(above)
    build_runner(config, work_dir, launcher, resume).train()
    barrier()  # the main process writes it, all read it
    return str(final)


def report(
    metrics: Dict[str, float], model: torch.nn.Module, work_dir: str
) -> Dict[str, Dict[str, float]]:
    """Print the table and write ``results.json`` (main process)."""
    results = nested_results(metrics)
    if is_main_process():
        tuner = type(tuner_of(unwrapped(model))).__name__
        write_json(Path(work_dir) / 'results.json', results)
        print(
            f'\n{results_table(results, tuner)}\n\nwritten to {Path(work_dir) / "results.json"}',
            flush=True,
        )
    return results
