"""Edits of a token sequence between two transformer blocks, as deep prompting makes them."""

from dataclasses import dataclass
from typing import Mapping

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenEdit:
    """Insert tokens into a sequence (N, L, W) of N sequences, or overwrite some of its tokens.

    Args:
        tokens: the new tokens: (n, W), the same in all sequences, or (N, n, W), per sequence.
        start: position of the first new token. A negative one counts from the end.
        insert: True inserts the tokens before position ``start``, so the sequence grows by n. False
            overwrites the n positions from ``start`` on.
    """

    tokens: Tensor
    start: int
    insert: bool = False

    @property
    def count(self) -> int:
        """n, the number of new tokens per sequence."""
        return self.tokens.shape[-2]

    def __call__(self, x: Tensor) -> Tensor:
        """Apply the edit.

        Args:
            x: token sequences (N, L, W).

        Returns:
            The edited sequences, (N, L + n, W) after an insertion, otherwise (N, L, W).
        """
        start = self.start if self.start >= 0 else x.shape[1] + self.start
        stop = start if self.insert else start + self.count
        tokens = self.tokens.expand(x.shape[0], -1, -1) if self.tokens.ndim == 2 else self.tokens
        return torch.cat([x[:, :start], tokens.to(x.dtype), x[:, stop:]], 1)


TokenEdits = Mapping[int, TokenEdit]
"""Maps the index of a transformer block (0 is the first) to the edit of its input."""


def insert_tokens(tokens: Tensor, start: int = 1) -> TokenEdit:
    """Edit that inserts tokens, (n, W) or (N, n, W), before position ``start``."""
    return TokenEdit(tokens, start, insert=True)


def replace_tokens(tokens: Tensor, start: int = 1) -> TokenEdit:
    """Edit that overwrites n positions from ``start`` on with tokens, (n, W) or (N, n, W)."""
    return TokenEdit(tokens, start)


def replace_last_tokens(tokens: Tensor) -> TokenEdit:
    """Edit that overwrites the last n positions with tokens, (n, W) or (N, n, W)."""
    return TokenEdit(tokens, -tokens.shape[-2])
