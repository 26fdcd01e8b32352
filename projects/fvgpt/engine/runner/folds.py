"""Folds of the training images: which tuners PC needs for them, and on which images they train."""

from collections.abc import Sequence as SequenceABC
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence

import numpy as np
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, MODELS, DefaultScope

from ...datasets.folds import assign_folds
from ...io.errors import UserError
from ...tuners.checkpoint import read_checkpoint
from ...tuners.provenance import Provenance
from ..hooks.run_record import split_hash
from .config_parts import is_few_shot


class TrainingFolds(NamedTuple):
    """The folds of a training set.

    Attributes:
        folds: (N,), fold of each image, by its position.
        splits: of each fold, the hash of the list of images outside it
            (:func:`~fvgpt.engine.hooks.run_record.split_hash`).
    """

    folds: np.ndarray
    splits: List[Optional[str]]


def fold_count(model: dict) -> int:
    """K, the number of folds that an FVGPT with this config needs; 0 if it needs none."""
    without_pc = 'calibration' in model and model['calibration'] is None
    return 0 if without_pc else model.get('calibration_folds') or 0


def training_folds(config: Config) -> Optional[TrainingFolds]:
    """The folds that the model of a resolved recipe is trained with; None if it needs none.

    Raises:
        UserError: a class has fewer images than there are folds, or the data set has no
            ``indices``.
    """
    count = fold_count(config.model)
    if not count:
        return None
    dataset = _training_set(config)
    folds = _folds_of(dataset, count, config)
    kept = [np.flatnonzero(folds != fold).tolist() for fold in range(count)]
    return TrainingFolds(folds, [split_hash(dataset.get_subset(images)) for images in kept])


def leave_out_fold(config: Config) -> None:
    """Remove fold ``held_out_fold`` of a resolved recipe from its training set, in place.

    ``held_out_fold = dict(number=1, of=2)`` is the first of two folds. The data set then has
    ``indices``, and a tuner that has an argument for the number of training images gets it.
    ``held_out_fold.images``, their number, notes that this is done.

    Raises:
        UserError: there is no such fold, or as in :func:`training_folds`.
    """
    held_out = config.get('held_out_fold')
    if not held_out or 'images' in held_out:
        return
    number, count = held_out.get('number'), held_out.get('of')
    if not (isinstance(count, int) and number in range(1, count + 1) and count > 1):
        raise UserError(
            'held_out_fold must be dict(number=1, of=2), the first of two folds, or the like, not '
            f'{dict(held_out)}'
        )
    folds = _folds_of(_training_set(config), count, config)
    kept = np.flatnonzero(folds != number - 1).tolist()
    settings = config.train_dataloader.dataset
    chosen = settings.get('indices')  # a user's own: positions, or a number of first or last images
    if isinstance(chosen, SequenceABC):
        settings.indices = [chosen[i] for i in kept]
    else:
        settings.indices = [i + min(chosen or 0, 0) for i in kept]
    size = getattr(MODELS.get(config.model.type), 'training_images_key', None)
    if size:
        config.model[size] = len(kept)
    config.held_out_fold = dict(held_out, images=len(kept))


def check_fold_checkpoints(checkpoints: Sequence[str], folds: TrainingFolds) -> None:
    """Check that checkpoint k is of a tuner that was trained on all images outside fold k.

    Checkpoints that do not record their images are not checked.

    Raises:
        UserError: another number of checkpoints than folds, or one is of other images.
        MissingFileError: there is no such file.
    """
    count = len(folds.splits)
    if len(checkpoints) != count:
        raise UserError(
            f'model.fold_checkpoints has {len(checkpoints)} files for {count} folds: give one per '
            'fold'
        )
    for fold, (path, expected) in enumerate(zip(checkpoints, folds.splits)):
        recorded = Provenance.of_checkpoint(read_checkpoint(str(path)))
        if None not in (recorded.split, expected) and recorded.split != expected:
            of = recorded.held_out_fold
            was = f'without fold {of["number"]} of {of["of"]}' if of else 'without folds'
            raise UserError(
                f'{Path(path)} was not trained on the images of this recipe without fold '
                f'{fold + 1} of {count} (it was trained {was}): fold_checkpoints must be in the '
                'order of the folds, and of the same data, num_shots and seed'
            )


def _training_set(config: Config) -> BaseDataset:
    settings = config.train_dataloader.dataset
    with DefaultScope.overwrite_default_scope(config.get('default_scope', 'mmpretrain')):
        kind = DATASETS.get(settings.type)
        if not (isinstance(kind, type) and issubclass(kind, BaseDataset)):
            raise UserError(
                f'folds are for a data set with `indices`, as every BaseDataset of MMEngine has, '
                f'but train_dataloader.dataset is a {settings.type}; set '
                'model.calibration_folds=None'
            )
        whole = dict(settings, pipeline=[], lazy_init=False)
        return DATASETS.build(dict(whole, mask_root=None) if is_few_shot(settings) else whole)


def _folds_of(dataset: BaseDataset, count: int, config: Config) -> np.ndarray:
    labels = [int(dataset.get_data_info(index)['gt_label']) for index in range(len(dataset))]
    seed = (config.get('randomness') or {}).get('seed') or 0
    return assign_folds(labels, count, seed, dataset.metainfo.get('classes') or ())
