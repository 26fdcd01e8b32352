"""Hook that writes the provenance of a checkpoint into it, and checks it on loading."""

from typing import Any, Dict, Optional

import numpy as np
import torch
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer

from ...datasets.wrapped import innermost
from ...registry import HOOKS
from ...tuners.checkpoint import load_parameters
from ...tuners.classifier import CLIPClassifier, unwrapped
from ...tuners.provenance import PROVENANCE, Provenance
from .run_record import check_continuation, git_state, split_hash, versions, write_record

# Last values of each logged scalar that a checkpoint contains: enough for the smoothing windows
SAVED_LOG_VALUES = 100


@HOOKS.register_module()
class ProvenanceHook(Hook):
    """Write the provenance of a model into its checkpoints, and check it on loading.

    See :class:`~fvgpt.tuners.provenance.Provenance`. ``run.json`` in the work dir contains the same
    in readable form, see :func:`~fvgpt.engine.hooks.run_record.write_record`.

    Checkpoints contain no pickled objects, so that ``torch.load(..., weights_only=True)`` reads
    them: MMEngine's ``HistoryBuffer`` objects are converted to tensors on saving, and back on
    loading.
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
        """Add the provenance; convert objects that would be pickled to tensors or plain values."""
        dataset = innermost(runner.train_dataloader.dataset)
        provenance = Provenance.of_model(
            unwrapped(runner.model),
            seed=runner.seed,
            recipe=runner.cfg.get('recipe_hash'),
            subset=getattr(dataset, 'subset', None),
            num_shots=getattr(dataset, 'num_shots', None),
            split=self._split,
            held_out_fold=dict(runner.cfg.get('held_out_fold') or {}),
            mask_of=_control(getattr(dataset, 'mask_of', None)),
            processes=get_world_size(),
            versions=versions(),
            git=git_state(),
        )
        checkpoint['meta'][PROVENANCE] = provenance.to_dict()
        hub = checkpoint['message_hub']
        hub['log_scalars'] = {
            key: _to_tensors(buffer) if isinstance(buffer, HistoryBuffer) else buffer
            for key, buffer in hub['log_scalars'].items()
        }
        hub['runtime_info'] = {key: _plain(value) for key, value in hub['runtime_info'].items()}

    def after_load_checkpoint(self, runner, checkpoint: Dict[str, Any]) -> None:
        """Check a checkpoint against the model, and load all of its parameters.

        Raises:
            UserError: it is of another model, or a run cannot be resumed from it; names the
                difference.
        """
        recorded = Provenance.of_checkpoint(checkpoint)
        model: CLIPClassifier = unwrapped(runner.model)
        recorded.check_fits(model, 'the checkpoint')
        if runner._resume:
            dataset = innermost(runner.train_dataloader.dataset)
            check_continuation(recorded, checkpoint['state_dict'], model, dataset)
        origin = f'the checkpoint of {recorded.model}' if recorded.model else 'the checkpoint'
        # MMEngine itself only warns of parameters that do not fit
        load_parameters(model, checkpoint['state_dict'], origin)
        recorded.set_trained_classes(model)
        hub = checkpoint.get('message_hub')
        if isinstance(hub, dict):
            hub['log_scalars'] = {
                key: HistoryBuffer(*(v.numpy() for v in value))
                if isinstance(value, list)
                else value
                for key, value in hub['log_scalars'].items()
            }


def _control(mask_of: Optional[str]) -> Optional[str]:
    return None if mask_of == 'own' else mask_of


def _to_tensors(buffer: HistoryBuffer) -> list:
    return [
        torch.from_numpy(np.asarray(values[-SAVED_LOG_VALUES:], np.float64))
        for values in buffer.data
    ]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
