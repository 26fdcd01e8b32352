"""Edits of a token sequence (N, L, W) between two transformer blocks: what deep prompting does to a tower."""
from typing import Callable, Mapping

import torch
from torch import Tensor

TokenEdit = Callable[[Tensor], Tensor]
TokenEdits = Mapping[int, TokenEdit]
"""Index of a transformer block -> edit of its input."""


def _place(x: Tensor, tokens: Tensor, start: int, stop: int) -> Tensor:
    if tokens.ndim == 2:
        tokens = tokens.expand(len(x), -1, -1)
    return torch.cat([x[:, :start], tokens.to(x.dtype), x[:, stop:]], 1)


def insert_tokens(tokens: Tensor, start: int = 1) -> TokenEdit:
    """Put tokens (n, W), or (N, n, W), before position ``start``."""
    return lambda x: _place(x, tokens, start, start)


def replace_tokens(tokens: Tensor, start: int = 1) -> TokenEdit:
    """Overwrite the positions from ``start`` on with tokens (n, W) or (N, n, W)."""
    return lambda x: _place(x, tokens, start, start + tokens.shape[-2])


def replace_last_tokens(tokens: Tensor) -> TokenEdit:
    """Overwrite the last positions with tokens (n, W)."""
    return lambda x: _place(x, tokens, x.shape[1] - tokens.shape[-2], x.shape[1])
