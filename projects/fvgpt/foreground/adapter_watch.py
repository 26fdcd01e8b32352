"""Warnings of adapters of FDC that are about to train badly."""

import logging
from typing import Set

from mmengine.logging import print_log

from .distillation_compensation import Residual

_UNIT = 0.01  # features whose norms all differ from 1 by less have unit length
# Reading a value from a GPU waits for it, so residuals are read every so many iterations there
_INTERVAL = 10


class AdapterWatch:
    """Looks at the features and residuals of FDC in training; logs each warning once per model.

    Args:
        reads_raw: whether the adapters read features that are not normalised.
    """

    def __init__(self, reads_raw: bool):
        self.reads_raw = reads_raw
        self.iteration = 0
        self.warned: Set[str] = set()

    def __call__(self, image: Residual, text: Residual) -> None:
        """Look at the residuals of a training batch.

        Args:
            image, text: see :meth:`ForegroundDistillationCompensation.residuals`.
        """
        sides = dict(image=image, text=text)
        if self.iteration == 0 and self.reads_raw:
            for side, residual in sides.items():
                self._warn_of_unit_features(side, residual)
        if image.feature.device.type == 'cpu' or self.iteration % _INTERVAL == 0:
            for side, residual in sides.items():
                self._warn_of_a_long_residual(side, residual)
        self.iteration += 1

    def _warn_of_unit_features(self, side: str, residual: Residual) -> None:
        """Features of unit length under ``adapter_input='raw'``."""
        if bool(((residual.feature.norm(dim=-1) - 1).abs() < _UNIT).all()):
            self._warn(
                f'{side} features',
                f"adapter_input='raw', but the tuner's {side} features have unit length: this is "
                "the form 'unit', whose training is unstable; let the tuner return features "
                'before their normalisation',
            )

    def _warn_of_a_long_residual(self, side: str, residual: Residual) -> None:
        """A residual that is longer than the feature it is added to."""
        length = float(residual.relative_length())
        if length > 1:
            self._warn(
                f'{side} residual',
                f"the residual of FDC's {side} adapter is {length:.2g} times as long as the "
                f'{side} feature, and training may diverge: clip gradients '
                '(optim_wrapper.clip_grad.max_norm=5) or lower lambda_d '
                '(model.distillation_loss.loss_weight)',
            )

    def _warn(self, what: str, message: str) -> None:
        if what not in self.warned:
            self.warned.add(what)
            print_log(message, 'current', logging.WARNING)
