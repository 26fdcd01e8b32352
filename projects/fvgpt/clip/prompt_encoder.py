"""CLIP's text tower on embedded prompts: a simple reference implementation, and a faster exact one.

The tower is causal and its output is read at the end-of-text token. So the positions after that
token need not be computed, and what prompts have in common at their beginning (the start token,
usually the context, often the first words of class names) has the same activations in every layer
and is computed once. Both savings are exact.
"""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from open_clip.transformer import QuickGELU, ResidualAttentionBlock
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .prompt_packing import Packing, PrefixIds, agreement, pack, shared_length
from .token_edits import TokenEdit, TokenEdits


class EmbeddedPrompts(NamedTuple):
    """N prompts as input of the text tower, before the positional embedding.

    Attributes:
        embeddings: (N, L, W) token embeddings; L is at least the length of the longest prompt.
        eot: (N,), position of each prompt's end-of-text token.
        prefix_ids: eot + 1 integers per prompt: one per token. Two prompts that agree in all prefix
            ids up to a position have equal embeddings up to it. Token ids serve as prefix ids,
            unless learned vectors replace tokens.
        max_shared: no prompts share more than this many leading tokens, whatever their prefix ids;
            for example 1 (the start token) if every class has a context of its own. None means no
            such limit.
    """

    embeddings: Tensor
    eot: Tensor
    prefix_ids: PrefixIds
    max_shared: Optional[int] = None

    def select(self, indices: Sequence[int]) -> 'EmbeddedPrompts':
        """Return the prompts with these indices, in this order."""
        rows = torch.tensor(indices, device=self.eot.device)
        return self._replace(
            embeddings=self.embeddings[rows],
            eot=self.eot[rows],
            prefix_ids=tuple(self.prefix_ids[index] for index in indices),
        )


def encode_prompts_plain(
    tower, prompts: EmbeddedPrompts, edits: TokenEdits = {}, length: Optional[int] = None
) -> Tensor:
    """Encode every prompt by itself, padded to one length: the reference for the faster way.

    Args:
        tower: open_clip's text tower.
        prompts: N prompts.
        edits: edits of the token sequence before given blocks. They must keep the order of the
            prompt's own tokens.
        length: length of the padded prompts, at least that of the longest one, which is the
            default. CLIP's own code uses 77.

    Returns:
        Text features (N, D), not L2-normalised.
    """
    length = length or int(prompts.eot.max()) + 1
    embeddings = prompts.embeddings[:, :length]
    embeddings = F.pad(embeddings, (0, 0, 0, length - embeddings.shape[1]))
    x = embeddings + tower.positional_embedding[:length]
    for index, block in enumerate(tower.transformer.resblocks):
        if index in edits:
            x = edits[index](x)
        size = x.shape[1]
        mask = torch.full((size, size), float('-inf'), device=x.device, dtype=x.dtype).triu_(1)
        x = block(x, attn_mask=mask)
    eot = prompts.eot + (x.shape[1] - length)  # inserted tokens are before the end-of-text token
    return tower.ln_final(x[torch.arange(len(x), device=x.device), eot]) @ tower.text_projection


def encode_prompts(tower, prompts: EmbeddedPrompts, edits: TokenEdits = {}) -> Tensor:
    """Encode prompts, computing every common prefix once.

    The arguments and the result are those of :func:`encode_prompts_plain`, which is used instead
    for rare combinations of edits and for variants of open_clip's block.

    Returns:
        Text features (N, D), not L2-normalised.
    """
    blocks = tower.transformer.resblocks
    layout = _lay_out(prompts, edits)
    # A variant of the block may compute something else in its forward.
    if layout is None or not all(type(block) is ResidualAttentionBlock for block in blocks):
        return encode_prompts_plain(tower, prompts, edits)
    packing, mask, insertion = layout
    x = (
        prompts.embeddings[packing.prompt, packing.position]
        + tower.positional_embedding[packing.position]
    )
    for index, block in enumerate(blocks):
        if index in edits:
            x = _edit_slots(x, edits[index], packing)
        if index == insertion:
            mask = packing.mask
        is_last = index + 1 == len(blocks)
        x = _run_block(block, x, mask, packing.shared, packing.end if is_last else None)
    return tower.ln_final(x) @ tower.text_projection


def _lay_out(
    prompts: EmbeddedPrompts, edits: TokenEdits
) -> Optional[Tuple[Packing, Tensor, Optional[int]]]:
    """Assign slots to all tokens, including those that are inserted later.

    Returns:
        The packing; the attention mask of the first blocks; and the index of the block before which
        tokens are inserted, from which on the packing's own mask applies (None without insertion).
        None for the combinations of edits that :func:`encode_prompts_plain` handles: more than one
        insertion, an edit before it, inserted tokens that differ between prompts or come behind the
        shared prefix.
    """
    max_shared = _max_shared_after(prompts, edits)
    inserts = [index for index, edit in edits.items() if edit.insert]
    if not inserts:
        packing = pack(prompts.prefix_ids, max_shared, device=prompts.eot.device)
        return packing, packing.mask, None
    first = edits[inserts[0]]
    if (
        max_shared != prompts.max_shared
        or len(inserts) > 1
        or min(edits) < inserts[0]
        or first.tokens.ndim == 3
        or first.start > shared_length(prompts.prefix_ids, max_shared)
    ):
        return None
    reserved = (first.start, first.count)
    packing = pack(prompts.prefix_ids, max_shared, reserved, prompts.eot.device)
    return packing, packing.hiding(*reserved), inserts[0]


def _max_shared_after(prompts: EmbeddedPrompts, edits: TokenEdits) -> Optional[int]:
    """``max_shared`` of the prompts after the edits.

    Prompts cannot share tokens from the start of an edit on if the edit differs between prompts or
    extends beyond the shared prefix. This may shorten the prefix so that further edits extend
    beyond it, hence the loop.
    """
    max_shared = prompts.max_shared
    inserted = sum(edit.count for edit in edits.values() if edit.insert)
    while True:
        shared = shared_length(prompts.prefix_ids, max_shared) + inserted
        limits = [] if max_shared is None else [max_shared]
        for edit in edits.values():
            per_prompt = edit.tokens.ndim == 3
            if not edit.insert and (per_prompt or edit.start + edit.count > shared):
                limits.append(edit.start)
        lowest = min(limits, default=None)
        if lowest == max_shared:
            return max_shared
        max_shared = lowest


def _edit_slots(x: Tensor, edit: TokenEdit, packing: Packing) -> Tensor:
    """Apply an edit to the slots (R S, W). Inserted tokens have reserved slots already."""
    stop = edit.start + edit.count
    if edit.tokens.ndim == 2 and stop <= packing.shared:
        return torch.cat([x[: edit.start], edit.tokens.to(x.dtype), x[stop:]])
    slots = packing.slot[:, edit.start : stop]
    exists = slots >= 0
    tokens = edit.tokens.to(x.dtype).expand(*slots.shape, -1)
    return x.index_copy(0, slots[exists], tokens[exists])


def _run_block(
    block: ResidualAttentionBlock, x: Tensor, mask: Tensor, shared: int, read: Optional[Tensor]
) -> Tensor:
    """Run one block on packed prompts.

    Args:
        block: open_clip's residual attention block.
        x: slots (R S, W).
        mask: (R, S, shared + S), see :class:`Packing`.
        shared: number of shared slots.
        read: the slots whose result is needed; None means all.

    Returns:
        The results, (R S, W) or (len(read), W).
    """
    rows, size, _ = mask.shape
    qkv = F.linear(block.ln_1(x), block.attn.in_proj_weight, block.attn.in_proj_bias)
    qkv = qkv.view(rows, size, 3, block.attn.num_heads, -1)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (R, heads, S, W / heads)
    k, v = (torch.cat([t[:1, :, :shared].expand(rows, -1, -1, -1), t], 2) for t in (k, v))
    attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None])
    attended = attended.transpose(1, 2).flatten(0, 1).flatten(1)
    if read is not None:
        x, attended = x[read], attended[read]
    x = x + block.ls_1(F.linear(attended, block.attn.out_proj.weight, block.attn.out_proj.bias))
    return x + block.ls_2(_mlp(block.mlp, block.ln_2(x)))


def _mlp(mlp, x: Tensor) -> Tensor:
    """``mlp(x)``, with QuickGELU merged into the matrix products.

    QuickGELU is x sigmoid(1.702 x) = silu(1.702 x) / 1.702. Both factors go into the products,
    which saves five passes, forward and backward, over the widest tensors of the tower.
    """
    if type(mlp.gelu) is not QuickGELU:
        return mlp(x)
    hidden = F.silu(torch.addmm(mlp.c_fc.bias, x, mlp.c_fc.weight.T, beta=1.702, alpha=1.702))
    return torch.addmm(mlp.c_proj.bias, hidden, mlp.c_proj.weight.T, alpha=1 / 1.702)


def encode_prompts_in_chunks(
    tower, prompts: EmbeddedPrompts, edits: TokenEdits, max_tokens: int
) -> Tensor:
    """:func:`encode_prompts` with bounded memory: chunks of prompts, same features and gradients.

    In training the activations of a chunk are discarded and computed again in the backward pass.

    Args:
        tower, prompts, edits: as in :func:`encode_prompts`.
        max_tokens: largest number of tokens per chunk, not counting those that all prompts share.

    Returns:
        Text features (N, D), not L2-normalised.
    """
    chunks = _chunks(prompts.prefix_ids, _max_shared_after(prompts, edits), max_tokens)
    if len(chunks) == 1:
        return encode_prompts(tower, prompts, edits)

    def encode(chunk: Tuple[int, ...]) -> Tensor:
        chunk_edits = {
            index: replace(edit, tokens=edit.tokens[list(chunk)]) if edit.tokens.ndim == 3 else edit
            for index, edit in edits.items()
        }
        return encode_prompts(tower, prompts.select(chunk), chunk_edits)

    if torch.is_grad_enabled():
        features = torch.cat([checkpoint(encode, chunk, use_reentrant=False) for chunk in chunks])
    else:
        features = torch.cat([encode(chunk) for chunk in chunks])
    order = torch.tensor([index for chunk in chunks for index in chunk], device=features.device)
    return features[order.argsort()]


@lru_cache(maxsize=64)
def _chunks(
    prefix_ids: PrefixIds, max_shared: Optional[int], max_tokens: int
) -> List[Tuple[int, ...]]:
    """Divide prompts into chunks of at most ``max_tokens`` tokens, but at least one prompt.

    Prompts with long common prefixes go into the same chunk. Tokens that all prompts share do not
    count.
    """
    shared = shared_length(prefix_ids, max_shared)
    order = sorted(range(len(prefix_ids)), key=prefix_ids.__getitem__)
    chunks, filled = [[order[0]]], len(prefix_ids[order[0]]) - shared
    for previous, index in zip(order, order[1:]):
        in_common = agreement(prefix_ids[previous], prefix_ids[index], max_shared)
        new = len(prefix_ids[index]) - in_common
        if filled + new > max_tokens:
            chunks.append([])
            filled, new = 0, len(prefix_ids[index]) - shared
        chunks[-1].append(index)
        filled += new
    return [tuple(chunk) for chunk in chunks]


def text_tokens_that_fit(tower, device: torch.device) -> int:
    """Number of tokens whose activations fit into a quarter of the free memory, at least 1024.

    It is a power of two, so that the division into chunks, and with it the last bits of the result,
    does not change with every small change of the free memory.
    """
    # Measured: forward and backward store about 18 float32 values per token, block and unit of
    # width.
    bytes_per_token = (
        20 * 4 * len(tower.transformer.resblocks) * tower.positional_embedding.shape[1]
    )
    return 2 ** max(10, (free_memory(device) // 4 // bytes_per_token).bit_length() - 1)


def free_memory(device: torch.device) -> int:
    """Free memory in bytes, from the driver of a GPU or from Linux; 8 GB on other systems."""
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path('/proc/meminfo').read_text().splitlines()
        return next(
            int(line.split()[1]) * 1024 for line in lines if line.startswith('MemAvailable:')
        )
    except (OSError, StopIteration):
        return 8 * 10**9
