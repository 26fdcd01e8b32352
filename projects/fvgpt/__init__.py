"""FVG-PT: foreground view-guided prompt tuning for CLIP, as an MMEngine / MMPretrain plug-in.

``import fvgpt`` registers every part in MMEngine's root registries. In a config of any OpenMMLab
project::

    custom_imports = dict(imports=['fvgpt'], allow_failed_imports=False)

In Python: :func:`run_recipe` and :func:`evaluate_recipe` train and test, :class:`FVGPTInferencer`
predicts, :func:`load_model` and :func:`load_bundle` load what was trained, and
:class:`UserError` is the error of everything that a user can correct. They are imported when they
are first used.
"""

import importlib
from typing import Any

from .compat import apply_patches

apply_patches()

from .compat.name_clashes import clashes_named, warn_of_hidden_names
from .io.errors import UserError

with clashes_named(__name__):
    from . import (
        clip,
        datasets,
        engine,
        evaluation,
        foreground,
        losses,
        mixing,
        segmentation,
        tuners,
    )
from .registry import (
    DATASETS,
    HOOKS,
    LOOPS,
    LOSSES,
    METRICS,
    MODELS,
    PARAM_SCHEDULERS,
    RUNNERS,
    TRANSFORMS,
)

warn_of_hidden_names(__name__)

__version__ = '0.1.0'

_LAZY = dict(
    FVGPTInferencer='.inference.inferencer',
    evaluate_recipe='.engine.runner.recipe',
    load_bundle='.inference.bundle',
    load_model='.inference.load',
    run_recipe='.engine.runner.recipe',
)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(_LAZY[name], __name__), name)


__all__ = [
    *_LAZY,
    'DATASETS',
    'HOOKS',
    'LOOPS',
    'LOSSES',
    'METRICS',
    'MODELS',
    'PARAM_SCHEDULERS',
    'RUNNERS',
    'TRANSFORMS',
    'UserError',
    'clip',
    'datasets',
    'engine',
    'evaluation',
    'foreground',
    'losses',
    'mixing',
    'segmentation',
    'tuners',
    '__version__',
]
