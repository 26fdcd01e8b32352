"""Turn a recipe as read from its file into the config of a run, in one pass."""

from pathlib import Path
from typing import Any, Dict, Optional

from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from .changes import as_written, changes
from .clip_key import settle_clip
from .config_parts import datasets_of, is_few_shot, join_test_loaders, subset_tests
from .feature_file import settle_features
from .image_size import fit_image_size
from .loader_defaults import set_loader_defaults
from .options import DATASET_KEYS, check_options

RESOLVED = 'resolved'  # the key that notes it


def resolve(recipe: Config) -> Config:
    """Expand a recipe to a complete config. A resolved config is returned unchanged.

    - Keys that were changed since the file was read are checked, and those that concern stage 1 are
      stored for it (``tuner_options``).
    - ``clip`` at the top and ``clip`` of the model become equal, see
      :func:`~.clip_key.settle_clip`.
    - ``data_root``, ``layout``, ``num_shots`` and ``seed`` are passed to every data set, and
      ``seed`` to MMEngine. Data sets of other packages get ``data_root`` only; those inside
      MMEngine's ConcatDataset have their own.
    - Tests that show a view get the mask folder of the training set, unless they have their own.
    - ``feature_file`` and its keys are passed to data sets and CLIP, see
      :func:`~.feature_file.settle_features`.
    - Pipelines are scaled to the input size of the CLIP, see :func:`~.image_size.fit_image_size`.
    - ``feature_cache`` becomes a hook; loaders get their defaults.

    Args:
        recipe: as MMEngine reads it, with any changes; it is not modified.

    Raises:
        UserError: a changed key is unknown or is overwritten by another one, or the recipe has two
            different CLIPs.
    """
    # Formatting the text by yapf, as MMEngine does per checkpoint, takes as long as a short epoch
    # from cached features
    config = Config(recipe.to_dict(), filename=recipe.filename, format_python_code=False)
    if config.get('custom_imports'):
        import_modules_from_strings(**config.custom_imports)
    written = as_written(config)
    if written is not None and config.get(RESOLVED) == written.get(RESOLVED):
        changed = changes(written, config)
        check_options(written, changed)
        if 'tuner_recipe' in config:
            config.tuner_options = {**config.get('tuner_options', {}), **tuner_options(changed)}
            config.tuner_recipe = str(Path(config.filename).parent / config.tuner_recipe)
    settle_clip(config)
    join_test_loaders(config)
    _hand_down(config)
    _masks_of_views(config)
    settle_features(config)
    overrides = [test for test in subset_tests(config) if 'type' not in test]
    fit_image_size(config, [*datasets_of(config), *overrides])
    if config.get('feature_cache'):
        hook = dict(type='FeatureCacheHook', **config.feature_cache)
        config.default_hooks = dict(config.get('default_hooks') or {}, feature_cache=hook)
    set_loader_defaults(config)
    config[RESOLVED] = True
    return config


def tuner_options(options: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    """Options that also apply to stage 1: all except those of the FVGPT model.

    ``model.tuner.x`` becomes ``model.x``.
    """
    chosen = {}
    for key, value in (options or {}).items():
        if key.startswith('model.tuner.'):
            chosen['model.' + key[len('model.tuner.') :]] = value
        elif key.split('.')[0] not in ('model', *_OF_THE_RUN):
            chosen[key] = value
    return chosen


_OF_THE_RUN = ('tuner_recipe', 'tuner_options', 'work_dir', 'load_from', 'resume', 'launcher')


def _hand_down(config: Config) -> None:
    for dataset in datasets_of(config, joined=False):
        for key in DATASET_KEYS if is_few_shot(dataset) else ['data_root']:
            if key in config:
                dataset[key] = config[key]
    if 'seed' in config:
        config.randomness = dict(config.get('randomness') or {}, seed=config.seed)


def _masks_of_views(config: Config) -> None:
    """Hand ``mask_root`` and ``mask_suffix`` of the training set to the tests that show a view."""
    training = (config.get('train_dataloader') or {}).get('dataset', {})
    common = (config.get('test_dataloader') or {}).get('dataset', {})
    for test in subset_tests(config):
        if test.get('view') is not None and 'type' not in test:
            for key in ('mask_root', 'mask_suffix'):
                if training.get(key) and key not in common:
                    test.setdefault(key, training[key])
