"""Hooks that carry class names into the model and provenance into checkpoints."""

from typing import Any, Set

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import BaseLoop

from ...datasets.few_shot import FewShotDataset
from ...datasets.wrapped import innermost
from ...io.errors import UserError
from ...names import Branch
from ...registry import HOOKS
from ...tuners.classifier import CLIPClassifier, unwrapped


def classes_part(model: torch.nn.Module) -> Any:
    """What has classes by name: the model, or the head of an mmpretrain classifier.

    Raises:
        UserError: neither has.
    """
    model = unwrapped(model)
    for part in (model, getattr(model, 'head', None)):
        if hasattr(part, 'set_class_names'):
            return part
    raise UserError(
        f'ClassNamesHook is for models, or heads, whose classes are names; {type(model).__name__} is none: take '
        'the hook out of custom_hooks'
    )


@HOOKS.register_module()
class ClassNamesHook(Hook):
    """Give the model, or its head, the class names (and branch) of the data set it is about to see: no config lists them."""

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._checked: Set[int] = set()  # ids of data sets whose labels were looked at

    def _set(self, runner, dataset) -> None:
        dataset = innermost(dataset)
        meta = dataset.metainfo
        if not meta.get('classes'):
            raise UserError(
                f'{type(dataset).__name__} has no class names: its metainfo needs `classes`'
            )
        if (
            not isinstance(dataset, FewShotDataset) and id(dataset) not in self._checked
        ):  # ours are checked when they are read
            self._checked.add(id(dataset))
            check_labels(dataset, len(meta['classes']))
        classes_part(runner.model).set_class_names(
            meta['classes'], meta.get('branch', Branch.BASE), meta.get('dataset_name')
        )

    def before_run(self, runner) -> None:
        """In training also before EMAHook copies the model, whose buffers it matches by their order."""
        if isinstance(runner._train_loop, BaseLoop):  # built: the run begins with training
            self._set(runner, runner.train_dataloader.dataset)

    def before_train_epoch(self, runner) -> None:
        """The classes of the training set, which the model notes as trained ones."""
        self._set(runner, runner.train_dataloader.dataset)
        model = classes_part(runner.model)
        if hasattr(model, 'tuner'):
            warn_of_untrained(model.tuner, 'the tuner below')
        model.set_trained_classes(model.class_names)

    def before_val_epoch(self, runner) -> None:
        """The classes of the validation set."""
        self._set(runner, runner.val_dataloader.dataset)

    def before_test_epoch(self, runner) -> None:
        """The classes of the test set; a warning where they count as trained ones and were not."""
        self._set(runner, runner.test_dataloader.dataset)
        model = classes_part(runner.model)
        if model.branch == Branch.BASE:
            warn_of_untrained(model, 'the model')


def check_labels(dataset: Any, classes: int) -> None:
    """Refuse a data set of mmengine with a label that is none of its classes, which a loss on a GPU would only crash on.

    Raises:
        ValueError: names the first image with such a label.
    """
    for index in range(len(dataset) if hasattr(dataset, 'get_data_info') else 0):
        info = dataset.get_data_info(index)
        label = info.get('gt_label')
        if isinstance(label, (int, np.integer)) and not 0 <= label < classes:
            raise UserError(
                f'{info.get("img_path", f"item {index}")} has the label {label}, but {type(dataset).__name__} '
                f'has {classes} classes, 0 to {classes - 1}; correct the label or the list of classes'
            )


def warn_of_untrained(model: CLIPClassifier, what: str) -> None:
    """Warn where classes count as trained ones (branch ``base``) that were not in the training of a model."""
    others = [name for name in model.class_names if name not in set(model.trained_class_names)]
    if model.trained_class_names and others:
        print_log(
            f'{what} was trained on other classes: {len(others)} of {len(model.class_names)} are new to it, the first '
            f"is {others[0]!r}; data sets of new classes have metainfo=dict(branch='new')",
            'current',
            level=30,
        )
