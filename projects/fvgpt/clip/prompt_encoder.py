"""CLIP's text tower run on embedded prompts."""
from typing import NamedTuple

import torch
from torch import Tensor

from .token_edits import TokenEdits


class EmbeddedPrompts(NamedTuple):
    """Prompts as the text tower takes them, before the positional embedding.

    embeddings: (N, L, W) token embeddings, of any L that holds the longest prompt.
    eot: (N,) position of the end-of-text token of each prompt.
    """
    embeddings: Tensor
    eot: Tensor


def encode_prompts(tower, prompts: EmbeddedPrompts, edits: TokenEdits = {}) -> Tensor:
    """Text features (N, D), not normalised.

    The tower is causal and read at the end-of-text token, so nothing after the last such position is computed: the
    features are those of the full context length.

    Args:
        tower: open_clip's text tower.
        prompts: N prompts.
        edits: edits of the token sequence before given blocks; they must leave the order of the prompt's own tokens.
    """
    length = int(prompts.eot.max()) + 1
    x = prompts.embeddings[:, :length] + tower.positional_embedding[:length]
    for index, block in enumerate(tower.transformer.resblocks):
        if index in edits:
            x = edits[index](x)
        x = block(x, attn_mask=_causal_mask(tower, x.shape[1]))
    eot = prompts.eot + (x.shape[1] - length)  # inserted tokens stand before it
    return tower.ln_final(x[torch.arange(len(x), device=x.device), eot]) @ tower.text_projection


def _causal_mask(tower, length: int) -> Tensor:
    if length <= len(tower.attn_mask):
        return tower.attn_mask[:length, :length]
    # prompts that were inserted into a full context
    return torch.full((length, length), float('-inf'), device=tower.attn_mask.device).triu_(1)
