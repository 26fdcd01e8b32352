"""Hook that stops a training that diverges, and leaves its earlier checkpoints intact."""

import math
from typing import Any, Dict, List, Optional

import torch
from mmengine.hooks import Hook
from torch import Tensor

from ...io.errors import DivergenceError
from ...registry import HOOKS

# Reading a value from a GPU waits for it, so losses are read every so many iterations there
_INTERVAL = 10
_READ_EACH_TIME = ('cpu',)


@HOOKS.register_module()
class FiniteHook(Hook):
    """Stop training if a loss or parameter is not finite (NaN or infinite).

    Losses are checked in each iteration on a CPU and every 10 iterations on a GPU; parameters are
    checked before a checkpoint is written, so that no checkpoint contains invalid ones.

    Raises:
        DivergenceError: names the loss or parameter, the iteration, and the remedy.
    """

    def before_train(self, runner) -> None:
        """Reset the record of losses that are not finite."""
        self._names: List[str] = []
        # Per loss: first iteration in which it was not finite, inf if there was none
        self._first = torch.empty(0)

    def after_train_iter(
        self, runner, batch_idx: int, data_batch=None, outputs: Optional[Dict[str, Tensor]] = None
    ) -> None:
        """Record on the device which losses are not finite, and read the record at intervals.

        Raises:
            DivergenceError: a loss was not finite.
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
            values.device.type in _READ_EACH_TIME
            or self.every_n_inner_iters(batch_idx, _INTERVAL)
            or self.end_of_epoch(runner.train_dataloader, batch_idx)
        ):
            iteration, name = min(zip(self._first.tolist(), self._names))
            if math.isfinite(iteration):
                name = 'the loss' if name == 'loss' else name
                raise DivergenceError(
                    _message(
                        runner,
                        f'{name} is not finite in iteration {iteration:.0f} (epoch '
                        f'{runner.epoch + 1})',
                    )
                )

    def before_save_checkpoint(self, runner, checkpoint: Dict[str, Any]) -> None:
        """Check that all parameters of the checkpoint are finite.

        Raises:
            DivergenceError: one is not; no checkpoint is written.
        """
        for name, value in checkpoint['state_dict'].items():
            if value.is_floating_point() and not value.isfinite().all():
                raise DivergenceError(
                    _message(
                        runner,
                        f'the parameter {name} is not finite after iteration {runner.iter}',
                    )
                )


def _message(runner, what: str) -> str:
    rates = sorted({rate for rates in runner.optim_wrapper.get_lr().values() for rate in rates})
    shown = ', '.join(f'{rate:.3g}' for rate in rates)
    return (
        f'{what}: training stops, earlier checkpoints stay in {runner.work_dir}. Start again in '
        'another --work-dir with a lower learning rate (optim_wrapper.optimizer.lr; it was '
        f'{shown} here)'
    )
