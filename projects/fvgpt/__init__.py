"""FVG-PT: foreground view-guided prompt tuning for CLIP, as an MMEngine / MMPretrain plug-in.

``import fvgpt`` registers every part in MMEngine's root registries; in a config of any OpenMMLab project::

    custom_imports = dict(imports=['fvgpt'], allow_failed_imports=False)
"""
from .engine.compatibility import prepare

prepare()

from .engine.name_clashes import clashes_named, warn_of_hidden_names

with clashes_named(__name__):
    from . import clip, datasets, engine, evaluation, foreground, losses, segmentation, tuners
    from .engine import (  # noqa: F401
        cost,
        feature_cache_hook,
        finite,
        hooks,
        loss_history,
        prompt_aggregation,
        random_state,
        resume,
        subset_loop,
        tip_cache,
        warmup_cosine_lr,
    )
from .engine.config_prefix import register_config_prefix
from .registry import DATASETS, HOOKS, LOOPS, LOSSES, METRICS, MODELS, PARAM_SCHEDULERS, TRANSFORMS

register_config_prefix()
warn_of_hidden_names(__name__)

__version__ = '0.1.0'
__all__ = [
    'DATASETS', 'HOOKS', 'LOOPS', 'LOSSES', 'METRICS', 'MODELS', 'PARAM_SCHEDULERS', 'TRANSFORMS', 'clip', 'datasets',
    'engine', 'evaluation', 'foreground', 'losses', 'segmentation', 'tuners', '__version__'
]
