"""Packing of prompts for the causal text tower: common prefixes once, without padding.

In a causal tower the activations of a token depend only on this token and on those before it. So
prompts with a common prefix have the same activations there: N prompts are a tree of tokens, and
every node of it has to be computed only once. The nodes are laid into a few rows of equal length,
and an attention mask lets each node see its ancestors. The result is exact.
"""

import sys
from functools import lru_cache
from typing import List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from torch import Tensor

from ..io.errors import UserError

PrefixIds = Tuple[Tuple[int, ...], ...]
"""Per prompt one integer per token. Two prompts that agree in all prefix ids up to a position have
equal embeddings up to it. Token ids serve as prefix ids, unless learned vectors replace tokens."""

# Number of slots per row: long enough that few slots stay empty, short enough that attention, which
# is quadratic in it, is cheap.
_SHORTEST_ROW, _LONGEST_ROW = 32, 64


class Packing(NamedTuple):
    """N prompts laid into R rows of S slots each; slots are numbered through all rows.

    The tokens that all prompts begin with lie in the first ``shared`` slots of row 0. Every row
    sees them. All other tokens are seen only within their row.

    Attributes:
        shared: number of shared slots.
        prompt: (R S,), index of a prompt that contains the token of this slot.
        position: (R S,), position of the token in that prompt. Both are 0 for slots that are empty
            or reserved.
        mask: (R, S, shared + S), whether a slot sees each shared slot and each slot of its row.
        slot: (N, L), the slot of each position of each prompt; -1 after the prompt's end.
        end: (N,), the slot of each prompt's last token.
    """

    shared: int
    prompt: Tensor
    position: Tensor
    mask: Tensor
    slot: Tensor
    end: Tensor

    def hiding(self, start: int, count: int) -> Tensor:
        """Return ``mask`` with the ``count`` shared slots from ``start`` on hidden.

        A hidden slot is seen only by itself, since a softmax over nothing is not defined.
        """
        mask = self.mask.clone()
        mask[..., start : start + count] = False
        mask[0].diagonal()[start : start + count] = True
        return mask


@lru_cache(maxsize=256)
def pack(
    prefix_ids: PrefixIds,
    max_shared: Optional[int] = None,
    reserved: Tuple[int, int] = (0, 0),
    device: Union[str, torch.device] = 'cpu',
) -> Packing:
    """Lay out prompts.

    Args:
        prefix_ids: of each prompt, see ``PrefixIds``.
        max_shared: no prompts share more than this many leading tokens, whatever their prefix ids.
            None means no such limit.
        reserved: (start, count): reserve ``count`` shared slots before position ``start``, for
            tokens that are inserted later.
        device: device of the tensors.

    Raises:
        ValueError: ``start`` is behind the shared positions.
    """
    shared = shared_length(prefix_ids, max_shared)
    start, count = reserved
    if start > shared:
        raise UserError(
            f'tokens cannot be inserted at position {start}: prompts share only {shared} positions'
        )
    shared_slots = [position + count * (position >= start) for position in range(shared)]
    slots, rows, size = _lay_out(prefix_ids, max_shared, shared_slots, shared + count)

    prompt, position = np.zeros((2, rows * size), dtype=np.int64)
    mask = np.zeros((rows, size, shared + count + size), dtype=bool)
    sees_shared, sees_row = mask[:, :, : shared + count], mask[:, :, shared + count :]
    sees_shared[:] = True
    sees_shared[0, : shared + count] = np.tri(shared + count, dtype=bool)
    sees_row[:] = np.eye(size, dtype=bool)  # an empty slot must see something
    sees_row[0, : shared + count] = False
    padded = np.full((len(prefix_ids), max(map(len, prefix_ids))), -1)
    for index, places in enumerate(slots):
        prompt[places] = index
        position[places] = range(len(places))
        padded[index, : len(places)] = places
        row, columns = places[-1] // size, np.array(places[shared:]) % size
        sees_row[row][np.ix_(columns, columns)] |= np.tri(len(columns), dtype=bool)
    end = [places[-1] for places in slots]
    # The cached tensors must be usable in training, also if they were made in inference mode.
    with torch.inference_mode(False):
        tensors = (
            torch.as_tensor(array).to(device) for array in (prompt, position, mask, padded, end)
        )
        return Packing(shared + count, *tensors)


def _lay_out(
    prefix_ids: PrefixIds, max_shared: Optional[int], shared_slots: List[int], first_free: int
) -> Tuple[List[List[int]], int, int]:
    """Choose the row length that needs the fewest slots.

    Args:
        prefix_ids, max_shared: as in :func:`pack`.
        shared_slots: slots of the tokens that all prompts share.
        first_free: first slot of row 0 behind the shared and the reserved ones.

    Returns:
        The slots of each prompt, the number of rows R, and their length S.
    """
    # In this order each prompt follows one that it has the longest prefix in common with.
    order = sorted(range(len(prefix_ids)), key=prefix_ids.__getitem__)
    lengths = [len(prefix_ids[index]) for index in order]
    in_common = [len(shared_slots)]
    for previous, index in zip(order, order[1:]):
        in_common.append(agreement(prefix_ids[previous], prefix_ids[index], max_shared))
    prompts = list(zip(order, lengths, in_common))

    slots, filled = _fill_rows(prompts, sys.maxsize, shared_slots, first_free)
    if filled[0] <= _LONGEST_ROW:
        return slots, 1, filled[0]
    shortest = max(_SHORTEST_ROW, first_free, max(lengths) - len(shared_slots))
    sizes = range(shortest, max(_LONGEST_ROW, shortest) + 1)
    layouts = ((size, *_fill_rows(prompts, size, shared_slots, first_free)) for size in sizes)
    size, slots, filled = min(layouts, key=lambda layout: layout[0] * len(layout[2]))
    return slots, len(filled), size


def _fill_rows(
    prompts: Sequence[Tuple[int, int, int]], size: int, shared_slots: List[int], first_free: int
) -> Tuple[List[List[int]], List[int]]:
    """Place each prompt in the row of the prompt before it, or else in the first row with room.

    Args:
        prompts: (index, number of tokens, number of tokens in common with the prompt before it), in
            the order in which they are placed.
        size: number of slots per row.
        shared_slots, first_free: as in :func:`_lay_out`.

    Returns:
        The slots of each prompt, by its index, and the number of filled slots of each row.
    """
    slots: List[List[int]] = [[] for _ in prompts]
    filled, row, previous = [first_free], 0, shared_slots
    for index, length, common in prompts:
        if filled[row] + length - common > size:
            # In another row only the shared tokens are there already.
            common, previous = len(shared_slots), shared_slots
            row = 0
            while row < len(filled) and filled[row] + length - common > size:
                row += 1
            if row == len(filled):
                filled.append(0)
        start = row * size + filled[row]
        filled[row] += length - common
        slots[index] = previous[:common] + list(range(start, start + length - common))
        previous = slots[index]
    return slots, filled


def agreement(one: Sequence[int], other: Sequence[int], max_shared: Optional[int] = None) -> int:
    """Count the leading items, at most ``max_shared``, in which two sequences agree."""
    count = 0
    for a, b in zip(one[:max_shared], other[:max_shared]):
        if a != b:
            break
        count += 1
    return count


def shared_length(prefix_ids: PrefixIds, max_shared: Optional[int] = None) -> int:
    """Count the leading tokens that all prompts share.

    It is at most ``max_shared`` and less than the length of the shortest prompt, so that every
    prompt has a token of its own to be read at.
    """
    # In lexicographic order, all prompts between these two share what these two share.
    lowest, highest = min(prefix_ids), max(prefix_ids)
    return min(agreement(lowest, highest, max_shared), min(map(len, prefix_ids)) - 1)
