"""Hook that passes the class names of a data set to the model."""

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
    """The part whose classes are names: the model, or the head of an mmpretrain classifier.

    Raises:
        UserError: there is no such part.
    """
    model = unwrapped(model)
    for part in (model, getattr(model, 'head', None)):
        if hasattr(part, 'set_class_names'):
            return part
    raise UserError(
        'ClassNamesHook is for models, or heads, whose classes are names; '
        f'{type(model).__name__} is not one: take the hook out of custom_hooks'
    )


@HOOKS.register_module()
class ClassNamesHook(Hook):
    """Set the class names (and branch) of the model, or of its head, to those of the data set.

    This happens before each training, validation and test epoch, so that no config has to list
    class names.

    Raises:
        UserError: the data set has no class names, or a label that is not one of its classes; or
            the model's classes are not names.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._checked: Set[int] = set()  # ids of data sets whose labels were checked

    def _set(self, runner, dataset) -> None:
        dataset = innermost(dataset)
        meta = dataset.metainfo
        if not meta.get('classes'):
            raise UserError(
                f'{type(dataset).__name__} has no class names: its metainfo needs `classes`'
            )
        # Our own data sets check their labels when they are read
        if not isinstance(dataset, FewShotDataset) and id(dataset) not in self._checked:
            self._checked.add(id(dataset))
            check_labels(dataset, len(meta['classes']))
        classes_part(runner.model).set_class_names(
            meta['classes'], meta.get('branch', Branch.BASE), meta.get('dataset_name')
        )

    def before_run(self, runner) -> None:
        """In training, set the classes before EMAHook copies the model.

        EMAHook matches buffers by their order, so both models must have the same ones.
        """
        if isinstance(runner._train_loop, BaseLoop):  # it is built: the run starts with training
            self._set(runner, runner.train_dataloader.dataset)

    def before_train_epoch(self, runner) -> None:
        """Set the classes of the training set, and record them as trained ones."""
        self._set(runner, runner.train_dataloader.dataset)
        model = classes_part(runner.model)
        if hasattr(model, 'tuner'):
            warn_of_untrained(model.tuner, 'the tuner below')
        model.set_trained_classes(model.class_names)

    def before_val_epoch(self, runner) -> None:
        """Set the classes of the validation set."""
        self._set(runner, runner.val_dataloader.dataset)

    def before_test_epoch(self, runner) -> None:
        """Set the classes of the test set; warn if branch ``base`` has classes not trained on."""
        self._set(runner, runner.test_dataloader.dataset)
        model = classes_part(runner.model)
        if model.branch == Branch.BASE:
            warn_of_untrained(model, 'the model')


def check_labels(dataset: Any, classes: int) -> None:
    """Check that each label of an MMEngine data set is one of its classes.

    On a GPU, a cross entropy of such a label only fails with a device assertion.

    Args:
        dataset: data sets without ``get_data_info`` are not checked.
        classes: number of classes.

    Raises:
        UserError: a label is not in [0, classes); names the first such image.
    """
    for index in range(len(dataset) if hasattr(dataset, 'get_data_info') else 0):
        info = dataset.get_data_info(index)
        label = info.get('gt_label')
        if isinstance(label, (int, np.integer)) and not 0 <= label < classes:
            raise UserError(
                f'{info.get("img_path", f"item {index}")} has the label {label}, but '
                f'{type(dataset).__name__} has {classes} classes, 0 to {classes - 1}; correct the '
                'label or the list of classes'
            )


def warn_of_untrained(model: CLIPClassifier, what: str) -> None:
    """Log a warning if the current classes of a model are not all among its training classes.

    Args:
        model: without recorded training classes there is no warning.
        what: name of the model, for the message.
    """
    others = [name for name in model.class_names if name not in set(model.trained_class_names)]
    if model.trained_class_names and others:
        print_log(
            f'{what} was trained on other classes: {len(others)} of {len(model.class_names)} are '
            f'new to it, the first is {others[0]!r}; data sets of new classes have '
            "metainfo=dict(branch='new')",
            'current',
            level=30,
        )
