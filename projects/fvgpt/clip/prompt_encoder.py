"""CLIP's text tower run on embedded prompts: the plain way, and the same faster.

The tower is causal and read at the end-of-text token. So positions after it need no computation; what all prompts begin
with (the start token and, mostly, the context) is the same in every layer and computed once; and what follows is packed
without padding. All of it is exact.
"""
from dataclasses import replace
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence

import torch
import torch.nn.functional as F
from open_clip.transformer import ResidualAttentionBlock
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .token_edits import TokenEdit, TokenEdits


class EmbeddedPrompts(NamedTuple):
    """Prompts as the text tower takes them, before the positional embedding.

    embeddings: (N, L, W) token embeddings, of any L that holds the longest prompt.
    eot: (N,) position of the end-of-text token of each prompt.
    shared: number of leading positions that are equal in all prompts, at most the smallest ``eot``.
    """
    embeddings: Tensor
    eot: Tensor
    shared: int = 0


def encode_prompts_plain(tower, prompts: EmbeddedPrompts, edits: TokenEdits = {}, length: Optional[int] = None) -> Tensor:
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
        mask = torch.full((x.shape[1], x.shape[1]), float('-inf'), device=x.device, dtype=x.dtype).triu_(1)
        x = block(x, attn_mask=mask)
    eot = prompts.eot + (x.shape[1] - length)  # inserted tokens stand before it
    return tower.ln_final(x[torch.arange(len(x), device=x.device), eot]) @ tower.text_projection


def encode_prompts(tower, prompts: EmbeddedPrompts, edits: TokenEdits = {}) -> Tensor:
    """Text features (N, D) as :func:`encode_prompts_plain` gives them, with the shared prefix computed once."""
    blocks = tower.transformer.resblocks
    if not all(type(block) is ResidualAttentionBlock for block in blocks):  # open_clip's variants keep their own forward
        return encode_prompts_plain(tower, prompts, edits)
    # An edit that differs between prompts, or reaches beyond the shared part, ends the shared part where it begins.
    shared = min([prompts.shared, *(edit.start for edit in edits.values()
                                    if edit.tokens.ndim == 3 or edit.start + (not edit.insert) * edit.count > prompts.shared)])
    lengths = prompts.eot + 1 - shared
    longest = int(lengths.max())
    x = prompts.embeddings[:, :shared + longest] + tower.positional_embedding[:shared + longest]
    kept = torch.arange(longest, device=x.device) < lengths[:, None]
    packed = _Packed(x[0, :shared], x[:, shared:][kept], kept)
    for index, block in enumerate(blocks):
        if index in edits:
            packed = packed.edited(edits[index])
        packed = _run_block(block, packed, last=index + 1 == len(blocks))
    return tower.ln_final(packed.suffix) @ tower.text_projection


def encode_prompts_in_chunks(tower, prompts: EmbeddedPrompts, edits: TokenEdits, max_tokens: int) -> Tensor:
    """:func:`encode_prompts` with bounded memory: same features and gradients, computed a chunk of prompts at a time.

    Where a gradient is wanted, the activations of a chunk are dropped and computed again in the backward pass.

    Args:
        max_tokens: largest number of suffix tokens in a chunk.
    """
    longest = int(prompts.eot.max()) + 1 - prompts.shared
    size = max(1, max_tokens // longest)
    if len(prompts.eot) <= size:
        return encode_prompts(tower, prompts, edits)

    def encode(start: int) -> Tensor:
        rows = slice(start, start + size)
        chunk = prompts._replace(embeddings=prompts.embeddings[rows], eot=prompts.eot[rows])
        return encode_prompts(tower, chunk, {i: replace(edit, tokens=edit.tokens[rows]) if edit.tokens.ndim == 3 else edit
                                             for i, edit in edits.items()})

    starts = range(0, len(prompts.eot), size)
    if not torch.is_grad_enabled():
        return torch.cat([encode(start) for start in starts])
    return torch.cat([checkpoint(encode, start, use_reentrant=False) for start in starts])


def text_tokens_that_fit(tower, device: torch.device) -> int:
    """How many suffix tokens' activations a quarter of the free memory holds: a power of two, so that the chunks, and with
    them the last bits of the result, do not follow every change of the memory; at least 1024."""
    # measured: a forward and backward pass keeps about 18 float32 values a token, block and unit of width
    bytes_per_token = 20 * 4 * len(tower.transformer.resblocks) * tower.positional_embedding.shape[1]
    return 2**max(10, (free_memory(device) // 4 // bytes_per_token).bit_length() - 1)


def free_memory(device: torch.device) -> int:
    """Bytes that may still be taken: on a GPU by its driver, on a CPU by the operating system (Linux; 8 GB elsewhere)."""
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path('/proc/meminfo').read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith('MemAvailable:'))
    except (OSError, StopIteration):
        return 8 * 10**9


class _Packed(NamedTuple):
    """prefix (P, W) of all prompts; suffix (T, W), the remaining tokens of prompt 1, 2, ...; kept (N, S), which positions of
    a padded (N, S, W) they are."""
    prefix: Tensor
    suffix: Tensor
    kept: Tensor

    def edited(self, edit: TokenEdit) -> '_Packed':
        if edit.insert or edit.start + edit.count <= len(self.prefix):
            return self._replace(prefix=edit(self.prefix[None])[0])
        padded = replace(edit, start=edit.start - len(self.prefix))(self.padded(self.suffix))
        return self._replace(suffix=padded[self.kept])

    def padded(self, rows: Tensor) -> Tensor:
        """(T, W) -> (N, S, W), zeros elsewhere."""
        flat = rows.new_zeros(self.kept.numel(), rows.shape[-1])
        return flat.index_copy(0, self.kept.flatten().nonzero().squeeze(1), rows).unflatten(0, self.kept.shape)


def _run_block(block: ResidualAttentionBlock, packed: _Packed, last: bool) -> _Packed:
    prefix, suffix, kept = packed
    head_dim = block.attn.embed_dim // block.attn.num_heads
    heads = lambda t: t.unflatten(-1, (-1, head_dim)).transpose(-3, -2)  # noqa: E731  (..., L, W) -> (..., heads, L, d)
    width, count = len(prefix), len(kept)

    qkv = F.linear(block.ln_1(torch.cat([prefix, suffix])), block.attn.in_proj_weight, block.attn.in_proj_bias)
    q, k, v = qkv.chunk(3, -1)
    keys, values = (torch.cat([heads(t[:width]).expand(count, -1, -1, -1), heads(packed.padded(t[width:]))], -2)
                    for t in (k, v))
    position = torch.arange(keys.shape[-2], device=suffix.device)
    if last:  # only the end-of-text rows are read
        ends = kept.sum(1).cumsum(0) - 1
        visible = position < (width + kept.sum(1))[:, None, None, None]
        attended = F.scaled_dot_product_attention(heads(q[width:][ends][:, None]), keys, values, attn_mask=visible)
        attended, rows = attended.transpose(-3, -2).flatten(-2)[:, 0], suffix[ends]
    else:
        visible = position <= width + torch.arange(kept.shape[1], device=suffix.device)[:, None]
        attended = F.scaled_dot_product_attention(heads(packed.padded(q[width:])), keys, values, attn_mask=visible)
        attended, rows = attended.transpose(-3, -2).flatten(-2)[kept], suffix
        if width:
            own = F.scaled_dot_product_attention(*(heads(t[:width]) for t in (q, k, v)), is_causal=True)
            attended = torch.cat([own.transpose(-3, -2).flatten(-2), attended])
            rows = torch.cat([prefix, rows])
    rows = rows + block.ls_1(F.linear(attended, block.attn.out_proj.weight, block.attn.out_proj.bias))
    rows = rows + block.ls_2(block.mlp(block.ln_2(rows)))
    return _Packed(prefix, rows, kept) if last else _Packed(rows[:width], rows[width:], kept)


def shared_length(all_ids: Sequence[List[int]]) -> int:
    """Number of leading token ids that all prompts have in common, the last token of the shortest left out."""
    longest, count = min(map(len, all_ids)) - 1, 0
    while count < longest and len({ids[count] for ids in all_ids}) == 1:
        count += 1
    return count
