"""Where a checkpoint comes from, written into it and checked when it is loaded."""

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

KEPT_LOG_VALUES = 100  # of each logged scalar in a checkpoint: enough for the smoothing windows


@HOOKS.register_module()
class ProvenanceHook(Hook):
    """Write into each checkpoint what it came from, refuse one that does not belong, and keep pickled objects out.

    ``run.json`` in the work dir has the same in readable form, see :func:`~fvgpt.engine.hooks.run_record.write_record`.
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
        dataset = innermost(runner.train_dataloader.dataset)
        provenance = Provenance.of_model(
            unwrapped(runner.model),
            seed=runner.seed,
            recipe=runner.cfg.get('recipe_hash'),
            subset=getattr(dataset, 'subset', None),
            num_shots=getattr(dataset, 'num_shots', None),
            split=self._split,
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
        """Take a checkpoint over as a whole.

        Raises:
            ValueError: it is of another model, or a run cannot be resumed from it; says what differs.
        """
        recorded = Provenance.of_checkpoint(checkpoint)
        model: CLIPClassifier = unwrapped(runner.model)
        recorded.check_fits(model, 'the checkpoint')
        if runner._resume:
            dataset = innermost(runner.train_dataloader.dataset)
            check_continuation(recorded, checkpoint['state_dict'], model, dataset)
        origin = f'the checkpoint of {recorded.model}' if recorded.model else 'the checkpoint'
        # MMEngine itself would only warn of parameters that do not fit
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


def _to_tensors(buffer: HistoryBuffer) -> list:
    return [
        torch.from_numpy(np.asarray(values[-KEPT_LOG_VALUES:], np.float64))
        for values in buffer.data
    ]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
