"""Hooks that carry class names into the model and provenance into checkpoints."""
from typing import Any, Dict, Optional, Set

import numpy as np
import torch
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer, print_log
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import BaseLoop

from ..checkpoint import PROVENANCE, check_provenance, load_parameters, provenance
from ..classifier import CLIPClassifier
from ..datasets.few_shot import FewShotDataset
from ..registry import HOOKS
from .run_record import check_continuation, git_state, split_hash, versions, write_record

KEPT_LOG_VALUES = 100  # of each logged scalar in a checkpoint: enough for the smoothing windows


def unwrapped(model: torch.nn.Module) -> Any:
    """The model inside wrappers: of distributed training, of test-time augmentation."""
    inner: Any = model
    while is_model_wrapper(inner) or isinstance(inner, BaseTTAModel):
        inner = inner.module
    return inner


def classes_part(model: torch.nn.Module) -> Any:
    """What has classes by name: the model, or the head of an mmpretrain classifier.

    Raises:
        TypeError: neither has.
    """
    model = unwrapped(model)
    for part in (model, getattr(model, 'head', None)):
        if hasattr(part, 'set_class_names'):
            return part
    raise TypeError(f'ClassNamesHook is for models, or heads, whose classes are names; {type(model).__name__} is none: take '
                    'the hook out of custom_hooks')


def innermost(dataset: Any) -> Any:
    """The data set inside wrappers that know nothing of classes."""
    while not hasattr(dataset, 'metainfo') and hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    return dataset


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
            raise ValueError(f'{type(dataset).__name__} has no class names: its metainfo needs `classes`')
        if not isinstance(dataset, FewShotDataset) and id(dataset) not in self._checked:  # ours are checked when they are read
            self._checked.add(id(dataset))
            check_labels(dataset, len(meta['classes']))
        classes_part(runner.model).set_class_names(meta['classes'], meta.get('branch', 'base'), meta.get('dataset_name'))

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
        if model.branch == 'base':
            warn_of_untrained(model, 'the model')


@HOOKS.register_module()
class ProvenanceHook(Hook):
    """Write into each checkpoint what it came from, refuse one that does not belong, and keep pickled objects out.

    ``run.json`` in the work dir has the same in readable form, see :func:`~fvgpt.engine.run_record.write_record`.
    MMEngine stores its smoothed logs as pickled ``HistoryBuffer`` objects; here they become tensors on saving and
    buffers again on loading, so that ``torch.load(..., weights_only=True)`` reads the file anywhere.
    """

    def __init__(self) -> None:
        self._split: Optional[str] = None

    def before_train(self, runner) -> None:
        """Write ``run.json``."""
        self._split = split_hash(innermost(runner.train_dataloader.dataset))
        write_record(runner, 'train', self._split)

    def before_test(self, runner) -> None:
        """Write ``run.json``."""
        write_record(runner, 'test')

    def before_save_checkpoint(self, runner, checkpoint: Dict[str, Any]) -> None:
        """Add the provenance; turn what would be pickled into tensors and plain values."""
        meta = checkpoint['meta']
        dataset = innermost(runner.train_dataloader.dataset)
        meta[PROVENANCE] = dict(
            provenance(unwrapped(runner.model)), seed=runner.seed, recipe=runner.cfg.get('recipe_hash'),
            subset=getattr(dataset, 'subset', None), num_shots=getattr(dataset, 'num_shots', None), split=self._split,
            processes=get_world_size(), versions=versions(), git=git_state())
        hub = checkpoint['message_hub']
        hub['log_scalars'] = {key: _to_tensors(buffer) for key, buffer in hub['log_scalars'].items()}
        hub['runtime_info'] = {key: _plain(value) for key, value in hub['runtime_info'].items()}

    def after_load_checkpoint(self, runner, checkpoint: Dict[str, Any]) -> None:
        """Take a checkpoint over as a whole.

        Raises:
            ValueError: it is of another model, or a run cannot be resumed from it; says what differs.
        """
        recorded = checkpoint.get('meta', {}).get(PROVENANCE, {})
        model: CLIPClassifier = unwrapped(runner.model)
        check_provenance(recorded, model, 'the checkpoint')
        if runner._resume:
            check_continuation(recorded, checkpoint['state_dict'], model, innermost(runner.train_dataloader.dataset))
        origin = f"the checkpoint of {recorded['model']}" if 'model' in recorded else 'the checkpoint'
        load_parameters(model, checkpoint['state_dict'], origin)  # MMEngine would only warn of what does not fit
        if recorded.get('class_names'):
            model.set_trained_classes(recorded['class_names'])
        hub = checkpoint.get('message_hub')
        if isinstance(hub, dict):
            hub['log_scalars'] = {key: HistoryBuffer(*(v.numpy() for v in value)) if isinstance(value, list) else value
                                  for key, value in hub['log_scalars'].items()}


def check_labels(dataset: Any, classes: int) -> None:
    """Refuse a data set of mmengine with a label that is none of its classes, which a loss on a GPU would only crash on.

    Raises:
        ValueError: names the first image with such a label.
    """
    for index in range(len(dataset) if hasattr(dataset, 'get_data_info') else 0):
        info = dataset.get_data_info(index)
        label = info.get('gt_label')
        if isinstance(label, (int, np.integer)) and not 0 <= label < classes:
            raise ValueError(f'{info.get("img_path", f"item {index}")} has the label {label}, but {type(dataset).__name__} '
                             f'has {classes} classes, 0 to {classes - 1}; correct the label or the list of classes')


def warn_of_untrained(model: CLIPClassifier, what: str) -> None:
    """Warn where classes count as trained ones (branch ``base``) that were not in the training of a model."""
    others = [name for name in model.class_names if name not in set(model.trained_class_names)]
    if model.trained_class_names and others:
        print_log(f'{what} was trained on other classes: {len(others)} of {len(model.class_names)} are new to it, the first '
                  f"is {others[0]!r}; data sets of new classes have metainfo=dict(branch='new')", 'current', level=30)


def _to_tensors(buffer: HistoryBuffer) -> list:
    return [torch.from_numpy(np.asarray(values[-KEPT_LOG_VALUES:], np.float64)) for values in buffer.data]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
