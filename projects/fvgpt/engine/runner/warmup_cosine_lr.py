"""The learning-rate schedule of CoOp and its descendants (Dassl's), exactly."""

import math
from typing import List

from mmengine.optim.scheduler import _ParamScheduler

from ...registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(_ParamScheduler):
    """Constant warm-up, then a half cosine from the full rate that ends before it reaches zero.

    Epoch e < warmup_epochs has the rate ``warmup_lr``, a later one lr0 / 2
    (1 + cos(pi (e - warmup_epochs) / E)), where E is the number of epochs of the whole run, as in
    Dassl.

    Args:
        optimizer: set by the runner.
        warmup_lr: absolute rate of the warm-up.
        warmup_epochs: number of warm-up epochs; 0 disables the warm-up.
        end: E; the runner sets it to ``max_epochs`` of the train loop.
        kwargs: as for MMEngine's schedulers.
    """

    def __init__(
        self,
        optimizer,
        warmup_lr: float = 1e-5,
        warmup_epochs: int = 1,
        *,
        end: int,
        epoch_length=None,
        **kwargs,
    ):
        self.warmup_lr, self.warmup_epochs = warmup_lr, warmup_epochs
        super().__init__(optimizer, 'lr', end=end, **kwargs)

    def _get_value(self) -> List[float]:
        if self.last_step < self.warmup_epochs:
            return [self.warmup_lr] * len(self.base_values)
        share = (1 + math.cos(math.pi * (self.last_step - self.warmup_epochs) / self.end)) / 2
        return [value * share for value in self.base_values]
