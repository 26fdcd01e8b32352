"""Edits of a token sequence between two transformer blocks: what deep prompting does to a tower."""

from dataclasses import dataclass
from typing import Mapping

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenEdit:
    """Tokens put into a sequence (N, L, W) at ``start``, over what stands there or before it.

    tokens: (n, W), the same for all sequences, or (N, n, W). start: position; negative counts from the end.
    insert: whether the sequence grows by n.
    """

    tokens: Tensor
    start: int
    insert: bool = False

    @property
    def count(self) -> int:
        """n, the number of tokens."""
        return self.tokens.shape[-2]

    def __call__(self, x: Tensor) -> Tensor:
        start = self.start if self.start >= 0 else x.shape[1] + self.start
        stop = start if self.insert else start + self.count
        tokens = self.tokens.expand(x.shape[0], -1, -1) if self.tokens.ndim == 2 else self.tokens
        return torch.cat([x[:, :start], tokens.to(x.dtype), x[:, stop:]], 1)


TokenEdits = Mapping[int, TokenEdit]
"""Index of a transformer block -> edit of its input."""


def insert_tokens(tokens: Tensor, start: int = 1) -> TokenEdit:
    """Put tokens before position ``start``."""
    return TokenEdit(tokens, start, insert=True)


def replace_tokens(tokens: Tensor, start: int = 1) -> TokenEdit:
    """Overwrite the positions from ``start`` on."""
    return TokenEdit(tokens, start)


def replace_last_tokens(tokens: Tensor) -> TokenEdit:
    """Overwrite the last positions."""
    return TokenEdit(tokens, -tokens.shape[-2])
