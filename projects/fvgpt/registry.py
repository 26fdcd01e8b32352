"""Registries of this project: MMEngine's root registries, which every OpenMMLab scope searches."""

from mmengine.registry import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    LOOPS,
    METRICS,
    MODELS,
    PARAM_SCHEDULERS,
    RUNNERS,
    TRANSFORMS,
)

LOSSES = MODELS  # OpenMMLab registers losses as models

__all__ = [
    'DATASETS',
    'DATA_SAMPLERS',
    'HOOKS',
    'LOOPS',
    'LOSSES',
    'METRICS',
    'MODELS',
    'PARAM_SCHEDULERS',
    'RUNNERS',
    'TRANSFORMS',
]
