"""Check the inputs of a run before any long work starts."""

from typing import Sequence

from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from .config_parts import PARTS, built_datasets, loaders_of
from .options import check_loader


def check_inputs(config: Config, parts: Sequence[str] = PARTS) -> None:
    """Build each data set of a resolved recipe, so that a wrong path is reported at once.

    The image lists of data sets with masks are read as well, and the keys of the test loaders are
    checked; otherwise these errors would appear only after stage 1.

    Raises:
        UserError: a key or file is wrong; the message names it.
    """
    for loader in loaders_of(config, parts):
        check_loader(loader)
    with DefaultScope.overwrite_default_scope(config.get('default_scope', 'mmpretrain')):
        for dataset in built_datasets(config, parts):
            shows_view = dataset.get('view') is not None  # whose pipeline reads the masks
            lazy = not (dataset.get('mask_root') or shows_view)
            pipeline = dataset.get('pipeline', []) if shows_view else []
            DATASETS.build(dict(dataset, lazy_init=lazy, pipeline=pipeline))
