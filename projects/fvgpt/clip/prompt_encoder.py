"""CLIP's text tower run on embedded prompts: the plain way, and the same faster.

The tower is causal and read at the end-of-text token. So positions after it need no computation, and what prompts have in
common at their beginning (the start token, mostly the context, often the first words of class names) is the same in every
layer and computed once. All of it is exact.
"""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import List, NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from open_clip.transformer import QuickGELU, ResidualAttentionBlock
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .prompt_packing import Packing, PrefixIds, agreement, pack, shared_length
from .token_edits import TokenEdit, TokenEdits


class EmbeddedPrompts(NamedTuple):
    """Prompts as the text tower takes them, before the positional embedding.

    embeddings: (N, L, W) token embeddings, of any L that holds the longest prompt.
    eot: (N,) position of the end-of-text token of each prompt.
    prefix_ids: of each prompt eot + 1 numbers: where two prompts agree in all of them up to a position, their embeddings are
        equal up to there. Token ids serve, unless learned tokens take their places.
    own: position from which on embeddings differ whatever the prefix_ids say.
    """

    embeddings: Tensor
    eot: Tensor
    prefix_ids: PrefixIds
    own: Optional[int] = None

    def of(self, chosen: Tuple[int, ...]) -> 'EmbeddedPrompts':
        """Some of them."""
        rows = torch.tensor(chosen, device=self.eot.device)
        return self._replace(
            embeddings=self.embeddings[rows],
            eot=self.eot[rows],
            prefix_ids=tuple(self.prefix_ids[index] for index in chosen),
        )


def encode_prompts_plain(
    tower, prompts: EmbeddedPrompts, edits: TokenEdits = {}, length: Optional[int] = None
) -> Tensor:
    """Text features (N, D), not normalised: every prompt by itself, padded to one length; the oracle of the fast way.

    Args:
        tower: open_clip's text tower.
        prompts: N prompts.
        edits: edits of the token sequence before given blocks; they must leave the order of the prompt's own tokens.
        length: that length, at least the longest prompt's, which is taken when left out; CLIP's own code has 77.
    """
    length = length or int(prompts.eot.max()) + 1
    embeddings = prompts.embeddings[:, :length]
    embeddings = F.pad(embeddings, (0, 0, 0, length - embeddings.shape[1]))
    x = embeddings + tower.positional_embedding[:length]
    for index, block in enumerate(tower.transformer.resblocks):
        if index in edits:
            x = edits[index](x)
        mask = torch.full(
            (x.shape[1], x.shape[1]), float('-inf'), device=x.device, dtype=x.dtype
        ).triu_(1)
        x = block(x, attn_mask=mask)
    eot = prompts.eot + (x.shape[1] - length)  # inserted tokens stand before it
    return tower.ln_final(x[torch.arange(len(x), device=x.device), eot]) @ tower.text_projection


def encode_prompts(tower, prompts: EmbeddedPrompts, edits: TokenEdits = {}) -> Tensor:
    """Text features (N, D) as :func:`encode_prompts_plain` gives them, with everything that prompts share computed once."""
    blocks = tower.transformer.resblocks
    layout = _layout(prompts, edits)
    # open_clip's variants of a block keep their own forward
    if layout is None or not all(type(block) is ResidualAttentionBlock for block in blocks):
        return encode_prompts_plain(tower, prompts, edits)
    packing, mask, insertion = layout
    x = (
        prompts.embeddings[packing.prompt, packing.position]
        + tower.positional_embedding[packing.position]
    )
    for index, block in enumerate(blocks):
        if index in edits:
            x = _edited(x, edits[index], packing)
        if index == insertion:
            mask = packing.mask
        x = _run_block(
            block, x, mask, packing.shared, packing.end if index + 1 == len(blocks) else None
        )
    return tower.ln_final(x) @ tower.text_projection


def _layout(
    prompts: EmbeddedPrompts, edits: TokenEdits
) -> Optional[Tuple[Packing, Tensor, Optional[int]]]:
    """Where the tokens lie, the mask to begin with, and the block before which tokens come in and the packing's own mask
    holds. None for combinations of edits that are left to the plain way."""
    own = _own(prompts, edits)
    inserts = [index for index, edit in edits.items() if edit.insert]
    if not inserts:
        packing = pack(prompts.prefix_ids, own, device=prompts.eot.device)
        return packing, packing.mask, None
    first = edits[inserts[0]]
    if (
        own != prompts.own
        or len(inserts) > 1
        or min(edits) < inserts[0]
        or first.tokens.ndim == 3
        or first.start > shared_length(prompts.prefix_ids, own)
    ):
        return None
    packing = pack(prompts.prefix_ids, own, (first.start, first.count), prompts.eot.device)
    return packing, packing.hiding(first.start, first.count), inserts[0]


def _own(prompts: EmbeddedPrompts, edits: TokenEdits) -> Optional[int]:
    """``own`` of the prompts once edited: an edit that differs between them, or reaches beyond what they share, parts them."""
    own, inserted = prompts.own, sum(edit.count for edit in edits.values() if edit.insert)
    while True:
        shared = shared_length(prompts.prefix_ids, own) + inserted
        parting = [
            edit.start
            for edit in edits.values()
            if not edit.insert and (edit.tokens.ndim == 3 or edit.start + edit.count > shared)
        ]
        earlier = min(parting if own is None else [own, *parting], default=None)
        if earlier == own:
            return own
        own = earlier


def _edited(x: Tensor, edit: TokenEdit, packing: Packing) -> Tensor:
    """The slots (R S, W) after an edit; tokens that come in have slots already."""
    stop = edit.start + edit.count
    if edit.tokens.ndim == 2 and stop <= packing.shared:
        return torch.cat([x[: edit.start], edit.tokens.to(x.dtype), x[stop:]])
    slots = packing.slot[:, edit.start : stop]
    there = slots >= 0
    return x.index_copy(0, slots[there], edit.tokens.to(x.dtype).expand(*slots.shape, -1)[there])


def _run_block(
    block: ResidualAttentionBlock, x: Tensor, mask: Tensor, shared: int, read: Optional[Tensor]
) -> Tensor:
    """One block on slots (R S, W); with ``read`` only these slots' results."""
    rows, size, _ = mask.shape
    qkv = F.linear(block.ln_1(x), block.attn.in_proj_weight, block.attn.in_proj_bias)
    q, k, v = qkv.view(rows, size, 3, block.attn.num_heads, -1).permute(
        2, 0, 3, 1, 4
    )  # (R, heads, S, d)
    k, v = (torch.cat([t[:1, :, :shared].expand(rows, -1, -1, -1), t], 2) for t in (k, v))
    attended = (
        F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None])
        .transpose(1, 2)
        .flatten(0, 1)
        .flatten(1)
    )
    if read is not None:
        x, attended = x[read], attended[read]
    x = x + block.ls_1(F.linear(attended, block.attn.out_proj.weight, block.attn.out_proj.bias))
    return x + block.ls_2(_mlp(block.mlp, block.ln_2(x)))


def _mlp(mlp, x: Tensor) -> Tensor:
    """``mlp(x)``. QuickGELU is x sigmoid(1.702 x) = silu(1.702 x) / 1.702, and both factors go into the matrix products: five
    passes fewer, forward and backward, over the widest tensors of the tower."""
    if type(mlp.gelu) is not QuickGELU:
        return mlp(x)
    hidden = F.silu(torch.addmm(mlp.c_fc.bias, x, mlp.c_fc.weight.T, beta=1.702, alpha=1.702))
    return torch.addmm(mlp.c_proj.bias, hidden, mlp.c_proj.weight.T, alpha=1 / 1.702)


def encode_prompts_in_chunks(
    tower, prompts: EmbeddedPrompts, edits: TokenEdits, max_tokens: int
) -> Tensor:
    """:func:`encode_prompts` with bounded memory: same features and gradients, computed a chunk of prompts at a time.

    Where a gradient is wanted, the activations of a chunk are dropped and computed again in the backward pass.

    Args:
        max_tokens: largest number of tokens in a chunk, those that all prompts begin with left out.
    """
    chunks = _chunks(prompts.prefix_ids, _own(prompts, edits), max_tokens)
    if len(chunks) == 1:
        return encode_prompts(tower, prompts, edits)

    def encode(chosen: Tuple[int, ...]) -> Tensor:
        of_these = {
            index: replace(edit, tokens=edit.tokens[list(chosen)])
            if edit.tokens.ndim == 3
            else edit
            for index, edit in edits.items()
        }
        return encode_prompts(tower, prompts.of(chosen), of_these)

    if torch.is_grad_enabled():
        features = torch.cat([checkpoint(encode, chunk, use_reentrant=False) for chunk in chunks])
    else:
        features = torch.cat([encode(chunk) for chunk in chunks])
    order = torch.tensor([index for chunk in chunks for index in chunk], device=features.device)
    return features[order.argsort()]


@lru_cache(maxsize=64)
def _chunks(prefix_ids: PrefixIds, own: Optional[int], max_tokens: int) -> List[Tuple[int, ...]]:
    """Which prompts go together: such that begin alike, and no more than have ``max_tokens`` tokens, but at least one."""
    shared = shared_length(prefix_ids, own)
    order = sorted(range(len(prefix_ids)), key=prefix_ids.__getitem__)
    chunks, filled = [[order[0]]], len(prefix_ids[order[0]]) - shared
    for previous, index in zip(order, order[1:]):
        new = len(prefix_ids[index]) - agreement(prefix_ids[previous], prefix_ids[index], own)
        if filled + new > max_tokens:
            chunks.append([])
            filled, new = 0, len(prefix_ids[index]) - shared
        chunks[-1].append(index)
        filled += new
    return [tuple(chunk) for chunk in chunks]


def text_tokens_that_fit(tower, device: torch.device) -> int:
    """How many tokens' activations a quarter of the free memory holds: a power of two, so that the chunks, and with
    them the last bits of the result, do not follow every change of the memory; at least 1024."""
    # measured: a forward and backward pass keeps about 18 float32 values a token, block and unit of width
    bytes_per_token = (
        20 * 4 * len(tower.transformer.resblocks) * tower.positional_embedding.shape[1]
    )
    return 2 ** max(10, (free_memory(device) // 4 // bytes_per_token).bit_length() - 1)


def free_memory(device: torch.device) -> int:
    """Bytes that may still be taken: on a GPU by its driver, on a CPU by the operating system (Linux; 8 GB elsewhere)."""
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path('/proc/meminfo').read_text().splitlines()
        return next(
            int(line.split()[1]) * 1024 for line in lines if line.startswith('MemAvailable:')
        )
    except (OSError, StopIteration):
        return 8 * 10**9
