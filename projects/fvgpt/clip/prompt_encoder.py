"""CLIP's text tower run on embedded prompts."""
from typing import NamedTuple

import torch
from torch import Tensor


class EmbeddedPrompts(NamedTuple):
    """Prompts as the text tower takes them, before the positional embedding.

    embeddings: (N, L, W) token embeddings, of any L that holds the longest prompt.
    eot: (N,) position of the end-of-text token of each prompt.
    """
    embeddings: Tensor
    eot: Tensor


def encode_prompts(tower, prompts: EmbeddedPrompts) -> Tensor:
    """Text features (N, D), not normalised.

    The tower is causal and read at the end-of-text token, so nothing after the last such position is computed: the
    features are those of the full context length.
    """
    length = int(prompts.eot.max()) + 1
    x = prompts.embeddings[:, :length] + tower.positional_embedding[:length]
    x = tower.transformer(x, attn_mask=tower.attn_mask[:length, :length])
    x = tower.ln_final(x[torch.arange(len(x), device=x.device), prompts.eot])
    return x @ tower.text_projection
