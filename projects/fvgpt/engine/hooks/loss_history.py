"""Hook that logs losses without waiting for the device in every iteration."""

from typing import Dict, List, Optional

import numpy as np
import torch
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.logging import HistoryBuffer, MessageHub
from torch import Tensor

from ...registry import HOOKS


@HOOKS.register_module()
class LossHistoryHook(RuntimeInfoHook):
    """MMEngine's RuntimeInfoHook, but losses stay on the device until they are logged.

    The original hook reads every loss in each iteration, which waits for the GPU, and copies the
    whole history to append one value. Histories, logs and checkpoints are the same with both.
    """

    def before_train(self, runner) -> None:
        """Start without losses; read the smallest interval of the logger hooks."""
        super().before_train(runner)
        self._pending: Dict[str, List[Tensor]] = {}
        intervals = [hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)]
        self._interval = min(intervals, default=1)

    def after_train_iter(
        self, runner, batch_idx: int, data_batch=None, outputs: Optional[Dict[str, Tensor]] = None
    ) -> None:
        """Collect the losses; append them to the histories if they are about to be logged."""
        for name, value in (outputs or {}).items():
            self._pending.setdefault(f'train/{name}', []).append(value.detach())
        if self.every_n_inner_iters(batch_idx, self._interval) or self.end_of_epoch(
            runner.train_dataloader, batch_idx
        ):
            for name, values in self._pending.items():
                extend_history(runner.message_hub, name, torch.stack(values).tolist())
            self._pending.clear()


def extend_history(hub: MessageHub, name: str, values: List[float]) -> None:
    """Append values to a scalar's history, like one ``hub.update_scalar`` per value."""
    hub.update_scalar(name, values[0])  # creates a new history and registers it for checkpoints
    logs, counts = hub.get_scalar(name).data
    more = len(values) - 1
    hub.log_scalars[name] = HistoryBuffer(
        np.append(logs, values[1:]), np.append(counts, np.ones(more, counts.dtype))
    )
