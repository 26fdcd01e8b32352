"""Data sets of a recipe for an analysis: without augmentation, with the existing masks."""

from typing import List, Optional

from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS
from mmpretrain.datasets.transforms import PackInputs

from ..datasets import OwnImages
from ..datasets.views import step_name, with_mask
from ..engine.runner.config_parts import built_datasets, is_few_shot
from ..io.errors import MissingMaskError, UserError

SPLITS = ('test', 'train')
_META_KEYS = (*PackInputs.DEFAULT_META_KEYS, 'mask_path')


def masked_pipeline(pipeline: List[dict]) -> List[dict]:
    """A test pipeline that also loads and packs the mask, see :func:`with_mask`."""
    return [
        dict(step, type='PackForegroundInputs', meta_keys=_META_KEYS)
        if step_name(step) == 'PackInputs'
        else dict(step)
        for step in with_mask(pipeline)
    ]


def analysis_datasets(
    config: Config, split: str = 'test', mask_root: Optional[str] = None, masks: bool = True
) -> List[ConfigDict]:
    """Configs of the data sets that ``tools/analyze.py`` reads.

    Args:
        config: a recipe.
        split: ``test`` for its test data sets, ``train`` for its training images with the test
            pipeline.
        mask_root: folder of the masks. Default: that of the data set, or else of the training data
            set, or else ``mask`` (``auto`` for the user's own images).
        masks: whether to load masks. An image without a mask is left out of the analyses that need
            one.
    """
    training = built_datasets(config, ['train'])
    tests = [test for test in built_datasets(config, ['test']) if test.get('view') is None]
    if not tests or (split == 'train' and not training):
        raise UserError(
            f'the recipe has no {"test" if not tests else "training"} data set to analyse'
        )
    source = training[0] if training else {}
    chosen = tests if split == 'test' else [dict(source, pipeline=tests[0].pipeline)]
    datasets = []
    for dataset in chosen:
        dataset = ConfigDict(dataset)
        dataset.pop('mask_of', None)  # the analysis is of the images' own masks
        folder = mask_root or dataset.pop('mask_root', None) or source.get('mask_root')
        if masks and is_few_shot(dataset):
            default = 'auto' if issubclass(DATASETS.get(dataset.type), OwnImages) else 'mask'
            dataset.update(
                mask_root=folder or default,
                missing_mask='full',
                pipeline=masked_pipeline(dataset.pipeline),
            )
            dataset.setdefault('mask_suffix', source.get('mask_suffix'))
        datasets.append(dataset)
    return datasets


def build_dataset(config: ConfigDict) -> BaseDataset:
    """Build and read a data set of :func:`analysis_datasets`.

    Raises:
        MissingMaskError: masks are missing; the message names the option that leaves them out.
    """
    try:
        return DATASETS.build(config)
    except MissingMaskError as error:
        raise MissingMaskError(
            f'{error}; to go on without the figures that need masks: --no-masks'
        ) from error
