"""Training that diverges stops, says so, and leaves the checkpoints from before."""

import math
from typing import Any, Dict, List, Optional

import torch
from mmengine.hooks import Hook
from torch import Tensor

from ...io.errors import DivergenceError
from ...registry import HOOKS

_INTERVAL = 10  # iterations after which a device is asked; asking those named below takes no time
_ASKED_EACH_TIME = ('cpu',)


@HOOKS.register_module()
class FiniteHook(Hook):
    """End training in an iteration whose loss is not a finite number, and keep parameters that are none out of checkpoints.

    Raises:
        FloatingPointError: names the loss, or parameter, the iteration, and what to do.
    """

    def before_train(self, runner) -> None:
        """Start without a bad iteration."""
        self._names: List[str] = []
        self._first = torch.empty(
            0
        )  # (losses,) first bad iteration of each, inf where there was none

    def after_train_iter(
        self, runner, batch_idx: int, data_batch=None, outputs: Optional[Dict[str, Tensor]] = None
    ) -> None:
        """Note losses that are no finite numbers; ask the device for them every few iterations.

        Raises:
            FloatingPointError: there was one.
        """
        losses = {name: value for name, value in (outputs or {}).items() if 'loss' in name}
        terms = {name: value for name, value in losses.items() if name != 'loss'} or losses
        if not terms:
            return
        values = torch.stack([value.detach().float() for value in terms.values()])
        if list(terms) != self._names:
            self._names, self._first = list(terms), torch.full_like(values, math.inf)
        now = torch.where(values.isfinite(), math.inf, float(runner.iter + 1))
        self._first = torch.minimum(self._first, now)
        if (
            values.device.type in _ASKED_EACH_TIME
            or self.every_n_inner_iters(batch_idx, _INTERVAL)
            or self.end_of_epoch(runner.train_dataloader, batch_idx)
        ):
            iteration, name = min(zip(self._first.tolist(), self._names))
            if math.isfinite(iteration):
                name = 'the loss' if name == 'loss' else name
                raise DivergenceError(
                    _message(
                        runner,
                        f'{name} is no finite number in iteration {iteration:.0f} (epoch '
                        f'{runner.epoch + 1})',
                    )
                )

    def before_save_checkpoint(self, runner, checkpoint: Dict[str, Any]) -> None:
        """Refuse to write a parameter that is no finite number.

        Raises:
            FloatingPointError: there is one.
        """
        for name, value in checkpoint['state_dict'].items():
            if value.is_floating_point() and not value.isfinite().all():
                raise DivergenceError(
                    _message(
                        runner,
                        f'the parameter {name} is no finite number after iteration {runner.iter}',
                    )
                )


def _message(runner, what: str) -> str:
    rates = sorted({rate for rates in runner.optim_wrapper.get_lr().values() for rate in rates})
    shown = ', '.join(f'{rate:.3g}' for rate in rates)
    return (
        f'{what}: training stops, checkpoints from before stay in {runner.work_dir}. Start again in another --work-dir '
        f'with a lower learning rate (optim_wrapper.optimizer.lr; it was {shown} here)'
    )
