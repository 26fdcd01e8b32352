"""PromptSRC's Gaussian prompt aggregation as a hook."""
import math
from typing import Any, Dict, List

import torch
from mmengine.hooks import Hook
from torch import Tensor

from ..registry import HOOKS
from .hooks import unwrapped

_KEY = 'prompt_aggregation'


def gaussian_weights(epochs: int, mean: float, std: float) -> List[float]:
    """Weights w_t of the epochs t = 1 .. E, proportional to exp(-(t - mean)^2 / (2 std^2)), summing to 1."""
    # relative to the largest, so that a mean far behind the last epoch does not make all of them zero
    exponents = [-(t - mean)**2 / (2 * std**2) for t in range(1, epochs + 1)]
    values = [math.exp(e - max(exponents)) for e in exponents]
    return [value / sum(values) for value in values]


@HOOKS.register_module()
class GaussianPromptAggregationHook(Hook):
    """Replace the trained parameters after the last epoch by their weighted mean over epochs (PromptSRC, Khattak et al.,
    ICCV 2023).

    Only trained parameters are averaged (the released code averages the whole state dict). The running sum travels in the
    checkpoints, so a resumed run ends with the same parameters.

    Args:
        mean: epoch with the largest weight, counted from 1. std: spread in epochs.
    """

    priority = 'LOW'  # before CheckpointHook, which is VERY_LOW

    def __init__(self, mean: float = 15, std: float = 1):
        self.mean, self.std = mean, std
        self.total: Dict[str, Tensor] = {}

    def _parameters(self, runner) -> Dict[str, Tensor]:
        return {name: p for name, p in unwrapped(runner.model).named_parameters() if p.requires_grad}

    def after_train_epoch(self, runner) -> None:
        """Add w_t times the parameters to the sum, which takes their place after the last epoch."""
        weight = gaussian_weights(runner.max_epochs, self.mean, self.std)[runner.epoch]
        for name, parameter in self._parameters(runner).items():
            share = weight * parameter.detach().double().cpu()
            self.total[name] = self.total[name] + share if name in self.total else share
        if runner.epoch + 1 == runner.max_epochs:
            with torch.no_grad():
                for name, parameter in self._parameters(runner).items():
                    parameter.copy_(self.total[name])

    def before_save_checkpoint(self, runner, checkpoint: Dict[str, Any]) -> None:
        """Write the sum into the checkpoint."""
        checkpoint[_KEY] = dict(self.total)

    def after_load_checkpoint(self, runner, checkpoint: Dict[str, Any]) -> None:
        """In a resumed run, go on with the sum of the checkpoint."""
        if runner._resume:
            self.total = {name: value.cpu() for name, value in checkpoint.get(_KEY, {}).items()}
