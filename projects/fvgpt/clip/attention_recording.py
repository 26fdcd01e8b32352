"""Recording what happens in the image tower: the attention of every block, the last block's input.

PyTorch hooks on the blocks record it, so it works for any prompt tuner that runs these blocks.
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
    """One forward pass of B images through the image tower. The class token comes first.

    Attributes:
        patches: P, the number of patch tokens. In the input of the first block they follow the
            class token; T, the number of tokens, grows if a tuner inserts tokens.
        attention: per block (B, T, T): softmax weights averaged over the heads. Row i is what
            token i attends to.
        is_prompt: per block (T,) bool: tokens that a tuner inserted or replaced directly before
            this block, so that they contain nothing from the patches.
        tokens: (B, T, W), the input of the last block's attention, after ``ln_1``. It is a leaf of
            the graph, so a score can be differentiated with respect to it. Empty until that block
            has run.
    """

    patches: int
    attention: List[Tensor] = field(default_factory=list)
    is_prompt: List[Tensor] = field(default_factory=list)
    tokens: Tensor = field(default_factory=lambda: torch.empty(0))


def has_attention(clip: FrozenCLIP) -> bool:
    """Whether the image tower is a ViT with a class token and PyTorch's standard attention."""
    if not clip.has_class_token:
        return False
    blocks = clip.model.visual.transformer.resblocks
    return all(
        isinstance(block.attn, nn.MultiheadAttention) and block.attn.batch_first for block in blocks
    )


@contextmanager
def record_image_passes(clip: FrozenCLIP) -> Iterator[List[ImagePass]]:
    """Record every pass through the image tower inside the context.

    Yields:
        A list, to which each pass appends one :class:`ImagePass`.

    Raises:
        ValueError: the tower has no attention to record, see :func:`has_attention`.
    """
    if not has_attention(clip):
        raise UserError(
            f'the image tower of {clip.name} is not a ViT with a class token, so it has no '
            'attention to show'
        )
    passes: List[ImagePass] = []
    previous_output: List[Tensor] = []  # at most one: the output of the block before
    blocks = clip.model.visual.transformer.resblocks
    rows, columns = clip.model.visual.grid_size

    def enter_block(block, args) -> None:
        x = args[0].detach()
        if block is blocks[0]:
            passes.append(ImagePass(rows * columns))
            is_prompt = torch.arange(x.shape[1], device=x.device) > rows * columns
        else:
            is_prompt = changed_tokens(previous_output.pop()[0], x[0])
        passes[-1].is_prompt.append(is_prompt)

    def leave_block(block, args, output: Tensor) -> None:
        previous_output[:] = [output.detach()]

    def enter_attention(attention, args, kwargs):
        tokens = args[0].detach()
        with torch.no_grad():
            # The block itself asks for no weights. ``forward`` does not trigger this hook again.
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


def changed_tokens(before: Tensor, after: Tensor) -> Tensor:
    """Find the tokens of ``after`` that are not in ``before``.

    Args:
        before: (S, W), the tokens that a block returned.
        after: (T, W), the tokens that the next block receives: with T = S some tokens of
            ``before`` are replaced, otherwise T - S adjacent tokens are inserted.

    Returns:
        (T,) bool, True for replaced or inserted tokens.
    """
    if len(before) == len(after):
        return (before != after).any(-1)
    same = (before == after[: len(before)]).all(-1)
    start = int(same.long().cumprod(0).sum())
    position = torch.arange(len(after), device=after.device)
    return (position >= start) & (position < start + len(after) - len(before))
