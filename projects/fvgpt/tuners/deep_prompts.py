"""Prompts in the deeper layers of a tower (MaPLe, Khattak et al., CVPR 2023)."""

import torch
from torch import nn

from ..io.errors import UserError


def deep_prompts(depth: int, count: int, width: int) -> nn.Parameter:
    """Prompts (depth - 1, count, width) of the layers 2 .. depth, drawn from N(0, 0.02)."""
    return nn.Parameter(nn.init.normal_(torch.empty(depth - 1, count, width), std=0.02))


def check_depth(depth: int, layers: int, key: str) -> None:
    """Check that a tower of ``layers`` layers can have prompts in its first ``depth`` layers.

    Args:
        depth: number of layers with prompts, at least 1.
        layers: number of layers of the tower.
        key: name of the setting, for the message.

    Raises:
        UserError: ``depth`` is not between 1 and ``layers``.
    """
    if not 1 <= depth <= layers:
        raise UserError(
            f'{key} must lie between 1 and {layers}, the number of layers of the tower, not {depth}'
        )
