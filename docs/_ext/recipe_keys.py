"""The keys of a recipe that users set, with their defaults, which are read from the code."""

import inspect
from functools import cache
from pathlib import Path
from typing import Any, List, NamedTuple, Optional

from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS, HOOKS, MODELS
from repository_links import ROOT


class Key(NamedTuple):
    """A key of a recipe, with a recipe to read its default from."""

    name: str
    meaning: str
    recipe: str = 'coop_fvg_imagenet'


KEYS = {
    'For the whole recipe, both stages': [
        Key('data_root', 'folder with the images and masks'),
        Key(
            'layout',
            'of the folders in it, `coop` or `archives`, see '
            '[data sets](../datasets.md#where-files-lie)',
        ),
        Key('num_shots', 'training images per class; `None`: all'),
        Key(
            'seed',
            'of the few-shot draw, the initial values and the order of images; same as `--seed`',
        ),
        Key(
            'held_out_fold',
            'of a tuner: leave these images out, `dict(number=1, of=2)`, see '
            '[folds](../checkpoints.md#tuners-of-the-folds)',
        ),
        Key('clip.name', 'an open_clip model, `quickstart`, `local-dir:FOLDER` or `hf-hub:NAME`'),
        Key('clip.pretrained', 'its weights: a tag, a file, or `None` if the name includes them'),
        Key(
            'clip.quick_gelu',
            'activation of a weights file that does not contain it: `True` for those of OpenAI',
        ),
        Key('clip.precision', '`bf16` or `fp16`: the towers in autocast'),
        Key('clip.max_text_tokens', 'prompt tokens whose activations are in memory at a time'),
    ],
    'Data': [
        Key('train_dataloader.batch_size', 'of one process'),
        Key(
            'train_dataloader.num_workers',
            'default: [by the number of cores](../feature_cache.md#loader-workers)',
        ),
        Key('train_dataloader.dataset.subset', '`all`, `base` or `new` classes to train on'),
        Key('train_dataloader.dataset.mask_root', 'folder of the masks, relative to `data_root`'),
        Key(
            'train_dataloader.dataset.mask_suffix',
            "suffix of mask files if it differs from the images', such as `.png`",
        ),
        Key(
            'train_dataloader.dataset.missing_mask',
            '`error`, or `full`: the whole image is foreground',
        ),
        Key(
            'train_dataloader.dataset.mask_of',
            'whose mask an image gets: its `own`, or as a control another one, `shuffled` or '
            '`area_matched`',
        ),
        Key(
            'train_dataloader.dataset.subset_file',
            'list of training images, which are then not drawn, see '
            '[few-shot subsets](../datasets.md#few-shot-subsets-to-share)',
        ),
        Key('test_dataloader.batch_size', 'of all tests'),
        Key(
            'test_cfg.tests',
            'one entry per test: the keys in which its data set differs from '
            '`test_dataloader.dataset`',
        ),
    ],
    'Training': [
        Key('optim_wrapper.optimizer.lr', 'learning rate, of both stages'),
        Key('train_cfg.max_epochs', 'epochs of either stage'),
        Key('param_scheduler.warmup_epochs', 'epochs at the warm-up rate'),
        Key('param_scheduler.warmup_lr', 'that rate'),
        Key('default_hooks.checkpoint.max_keep_ckpts', 'number of checkpoints on disk'),
        Key('default_hooks.logger.interval', 'iterations between two lines of the log'),
    ],
    'FVG-PT (recipes with `_fvg`)': [
        Key('tuner_recipe', 'recipe of stage 1, beside this one'),
        Key('model.backbone_checkpoint', 'checkpoint of a tuner: stage 1 is left out'),
        Key('model.reliability_gate', '`None` switches FRG off'),
        Key('model.compensation', '`None` switches FDC off, and FRG with it'),
        Key('model.calibration', '`None` switches PC off'),
        Key(
            'model.calibration_folds',
            'number of [folds](../checkpoints.md#tuners-of-the-folds) that PC is cross-fitted with',
        ),
        Key('model.fold_checkpoints', 'checkpoints of their tuners, which are then not trained'),
        Key(
            'model.calibration_loss',
            'L_PC; with `tau_squared=True` its KL divergence is multiplied by τ²',
        ),
        Key('model.distillation_loss', 'its `loss_weight` is λ_d'),
        Key('model.prior_template', 'prompt of the original CLIP'),
        Key(
            'model.fg_fill',
            'background of the foreground view: `mean`, `black`, or as a control `image`, its own',
        ),
        Key('model.tuner.n_ctx', 'any key of the tuner, for both stages'),
    ],
    'Cached features': [
        Key(
            'feature_cache.cache_dir',
            'folder; any of these keys switches the [cache](../feature_cache.md) on',
        ),
        Key('feature_cache.views', 'random crops per image in the cache; `None`: no random crops'),
        Key('feature_cache.max_gb', 'maximum size of the folder'),
        Key('feature_cache.batch_size', 'of the pass through the towers'),
    ],
    'Precomputed features (recipes `*_features`)': [
        Key(
            'feature_file',
            'the [file](../features.md), the only source of data',
            'linear_text_fvg_features',
        ),
        Key(
            'feature_keys',
            'name of a tensor in the guide → its name in the file',
            'linear_text_fvg_features',
        ),
        Key(
            'feature_scale',
            'factors of `image` and `text` features that were stored with unit length',
            'linear_text_fvg_features',
        ),
        Key(
            'train_dataloader.dataset.views',
            'what training reads → the tensor `train_<name>` that it is taken from',
            'linear_text_fvg_features',
        ),
    ],
}


# Dicts whose keys are names of tensors
_OPEN = ('feature_keys', 'feature_scale', 'views')


@cache
def _config(recipe: str) -> Config:
    return Config.fromfile(ROOT / 'configs' / 'fvgpt' / f'{recipe}.py')


def default(key: Key) -> Any:
    """The value of a key in its recipe, or the default of the parameter of that name.

    Raises:
        KeyError: it is neither.
    """
    node: Any = _config(key.recipe)
    names = key.name.split('.')
    if names[0] == 'held_out_fold':  # in no recipe: no image is left out
        return None
    if names[0] == 'feature_cache':
        node, names = ConfigDict(type='FeatureCacheHook'), names[1:]
    for i, name in enumerate(names):
        if isinstance(node, list):
            node = node[int(name)]
        elif name in node:
            node = node[name]
        elif i and names[i - 1] in _OPEN:
            return None  # a name that the user chooses
        elif i == len(names) - 1 and name == 'num_workers':
            return None  # engine/loader_defaults.py chooses
        else:
            return _parameter(node.get('type'), name, key)
    return node


def _parameter(kind: Optional[str], name: str, key: Key) -> Any:
    found = [registry.get(kind) for registry in (MODELS, DATASETS, HOOKS)] if kind else []
    for parent in (
        parent for registered in found if registered for parent in inspect.getmro(registered)
    ):
        parameter = inspect.signature(parent.__init__).parameters.get(name)
        if parameter:
            return parameter.default
    raise KeyError(f'docs/_ext/recipe_keys.py: {key.recipe}.py has no key {key.name}')


def _shown(value: Any) -> str:
    if isinstance(value, dict) and 'type' in value:
        return (
            f'`dict(type={value["type"]!r}, ...)`'
            if len(value) > 1
            else f'`dict(type={value["type"]!r})`'
        )
    if isinstance(value, str) and value.startswith(str(ROOT)):
        value = Path(value).name
    return f'`{value!r}`'


def tables() -> List[str]:
    """Lines of Markdown: a table of each group of keys."""
    lines = []
    for title, keys in KEYS.items():
        rows = [f'| `{key.name}` | {_shown(default(key))} | {key.meaning} |' for key in keys]
        lines += ['', f'### {title}', '', '| key | default | |', '|---|---|---|', *rows]
    return lines
