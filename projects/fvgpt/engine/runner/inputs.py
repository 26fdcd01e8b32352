"""The inputs of a run, before anything long begins."""

from typing import Sequence

from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from .config_parts import PARTS, built_datasets, loaders_of
from .options import check_loader


def check_inputs(config: Config, parts: Sequence[str] = PARTS) -> None:
    """Build each data set of a resolved recipe, so that a wrong path is one error in the first
    second.

    Of those with masks the list of images is read too: a missing or wrong mask is not found when
    stage 1 is over. Nor is a wrong key of the loader of a test.

    Raises:
        UserError: names the key or file.
    """
    for loader in loaders_of(config, parts):
        check_loader(loader)
    with DefaultScope.overwrite_default_scope(config.get('default_scope', 'mmpretrain')):
        for dataset in built_datasets(config, parts):
            DATASETS.build(dict(dataset, lazy_init=not dataset.get('mask_root'), pipeline=[]))
