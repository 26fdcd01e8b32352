"""FVG-PT: foreground view-guided prompt tuning for CLIP, as an MMEngine / MMPretrain plug-in.

``import fvgpt`` registers every part in MMEngine's root registries; in a config of any OpenMMLab project::

    custom_imports = dict(imports=['fvgpt'], allow_failed_imports=False)
"""

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
    from .engine import hooks, runner  # noqa: F401
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
__all__ = [
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
