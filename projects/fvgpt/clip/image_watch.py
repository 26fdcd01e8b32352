"""Looking into the image tower while it runs: attention of every block, and the tokens that the last one reads.

Works for any tuner, since it watches the blocks and not who runs them.
"""

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Iterator, List

import torch
from torch import Tensor, nn

from ..io.errors import UserError
from .frozen_clip import FrozenCLIP
from .precision import at_least_float32


@dataclass
class ImagePass:
    """One pass of B images through the image tower, class token first.

    attention: of each block (B, T, T), softmax weights averaged over the heads, a row what a token reads; T grows where a
        tuner inserts tokens.
    fresh: of each block (T,) bool, tokens that a tuner put in before it, whose content comes from no patch.
    patches: number of patch tokens P; they follow the class token at the start.
    tokens: what the last block's attention reads (B, T, W): ``ln_1`` of its input. It is the leaf of the graph, so that a
        score can be differentiated in it. Empty until that block ran.
    """

    patches: int
    attention: List[Tensor] = field(default_factory=list)
    fresh: List[Tensor] = field(default_factory=list)
    tokens: Tensor = field(default_factory=lambda: torch.empty(0))


def can_be_watched(clip: FrozenCLIP) -> bool:
    """Whether the image tower is a ViT with a class token and plain attention blocks."""
    try:
        clip.vision_width  # noqa: B018  raises where there is no class token
    except ValueError:
        return False
    blocks = clip.model.visual.transformer.resblocks
    return all(
        isinstance(block.attn, nn.MultiheadAttention) and block.attn.batch_first for block in blocks
    )


@contextmanager
def watch_image_tower(clip: FrozenCLIP) -> Iterator[List[ImagePass]]:
    """Record each pass through the image tower within the context, in order, one :class:`ImagePass` each.

    Raises:
        ValueError: the tower has no attention to watch, see :func:`can_be_watched`.
    """
    if not can_be_watched(clip):
        raise UserError(
            f'the image tower of {clip.name} is no ViT with a class token, so it has no attention to show'
        )
    passes: List[ImagePass] = []
    left: List[Tensor] = []  # the output of the block before
    blocks = clip.model.visual.transformer.resblocks
    rows, columns = clip.model.visual.grid_size

    def enter_block(block, args) -> None:
        x = args[0].detach()
        if block is blocks[0]:
            passes.append(ImagePass(rows * columns))
            passes[-1].fresh.append(torch.arange(x.shape[1], device=x.device) > rows * columns)
        else:
            passes[-1].fresh.append(fresh_tokens(left.pop()[0], x[0]))

    def leave_block(block, args, output: Tensor) -> None:
        left[:] = [output.detach()]

    def enter_attention(attention, args, kwargs):
        tokens = args[0].detach()
        with torch.no_grad():
            weights = attention.forward(tokens, tokens, tokens, need_weights=True)[1]
        passes[-1].attention.append(at_least_float32(weights))
        if attention is not blocks[-1].attn:
            return None
        passes[-1].tokens = tokens.requires_grad_(torch.is_grad_enabled())
        return (tokens, tokens, tokens, *args[3:]), kwargs

    with ExitStack() as hooks:
        for block in blocks:
            for handle in (
                block.register_forward_pre_hook(enter_block),
                block.register_forward_hook(leave_block),
                block.attn.register_forward_pre_hook(enter_attention, with_kwargs=True),
            ):
                hooks.callback(handle.remove)
        yield passes


def fresh_tokens(before: Tensor, after: Tensor) -> Tensor:
    """Which tokens (T,) of ``after`` (T, W) are not those of ``before`` (S, W): replaced where S = T, else T - S inserted
    ones, side by side."""
    if len(before) == len(after):
        return (before != after).any(-1)
    same = (before == after[: len(before)]).all(-1)
    start = int(same.long().cumprod(0).sum())
    position = torch.arange(len(after), device=after.device)
    return (position >= start) & (position < start + len(after) - len(before))
