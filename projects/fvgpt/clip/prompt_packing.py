"""Prompts as a tree of tokens, laid into a few rows of equal length.

In a causal tower a token's activations depend on itself and on what stands before it. So prompts that begin alike share the
activations of their beginnings: all prompts together are a tree, and each of its nodes needs computing once. An attention
mask says what the nodes see; the tower itself need not know of any of it.
"""

import sys
from functools import lru_cache
from typing import List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from torch import Tensor

from ..io.errors import UserError

PrefixIds = Tuple[Tuple[int, ...], ...]
_SHORTEST, _LONGEST = (
    32,
    64,
)  # of a row: long enough that few slots stay empty, short enough that attention is cheap


class Packing(NamedTuple):
    """Rows of S slots, counted through all rows. What all prompts begin with lies in the first ``shared`` slots; every row
    sees it, and of the others its own.

    prompt, position: (R S,) a place that the node in a slot stands for; 0 where a slot is empty or reserved.
    mask: (R, S, shared + S) whether a slot sees the shared ones and those of its row.
    slot: (N, L) the slot of each position of each prompt, -1 after its end.
    end: (N,) the slot of each prompt's last token.
    """

    shared: int
    prompt: Tensor
    position: Tensor
    mask: Tensor
    slot: Tensor
    end: Tensor

    def hiding(self, start: int, count: int) -> Tensor:
        """``mask`` as long as ``count`` shared slots from ``start`` on are seen by none but themselves."""
        mask = self.mask.clone()
        mask[..., start : start + count] = False
        mask[0].diagonal()[start : start + count] = True
        return mask


@lru_cache(maxsize=256)
def pack(
    prefix_ids: PrefixIds,
    own: Optional[int] = None,
    reserved: Tuple[int, int] = (0, 0),
    device: Union[str, torch.device] = 'cpu',
) -> Packing:
    """Lay out prompts.

    Args:
        prefix_ids: of each prompt, one a token: prompts whose prefix_ids agree up to a position are alike up to there.
        own: position from which on prompts are not alike, whatever their prefix_ids say.
        reserved: (start, count): shared slots for tokens that come in later, before position ``start``.
        device: of the tensors.

    Raises:
        ValueError: ``start`` lies beyond the shared positions.
    """
    shared = shared_length(prefix_ids, own)
    start, count = reserved
    if start > shared:
        raise UserError(
            f'tokens cannot come in at position {start}: prompts share only {shared} positions'
        )
    beginning = [position + count * (position >= start) for position in range(shared)]
    slots, rows, size = _lay_out(prefix_ids, own, beginning, shared + count)

    prompt, position = np.zeros((2, rows * size), dtype=np.int64)
    mask = np.zeros((rows, size, shared + count + size), dtype=bool)
    common, of_row = mask[:, :, : shared + count], mask[:, :, shared + count :]
    common[:] = True
    common[0, : shared + count] = np.tri(shared + count, dtype=bool)
    of_row[:] = np.eye(size, dtype=bool)  # an empty slot must see something
    of_row[0, : shared + count] = False
    padded = np.full((len(prefix_ids), max(map(len, prefix_ids))), -1)
    for index, places in enumerate(slots):
        prompt[places], position[places], padded[index, : len(places)] = (
            index,
            range(len(places)),
            places,
        )
        row, own_places = places[-1] // size, np.array(places[shared:]) % size
        of_row[row][np.ix_(own_places, own_places)] |= np.tri(len(own_places), dtype=bool)
    end = [places[-1] for places in slots]
    with torch.inference_mode(False):  # what is kept must serve in training too
        tensors = (
            torch.as_tensor(array).to(device) for array in (prompt, position, mask, padded, end)
        )
        return Packing(shared + count, *tensors)


def _lay_out(
    prefix_ids: PrefixIds, own: Optional[int], beginning: List[int], first: int
) -> Tuple[List[List[int]], int, int]:
    """Slots of each prompt, number of rows, and their size: the one that makes the fewest slots."""
    order = sorted(
        range(len(prefix_ids)), key=prefix_ids.__getitem__
    )  # those that begin alike come one after another
    lengths = [len(prefix_ids[index]) for index in order]
    known = [
        len(beginning),
        *(
            agreement(prefix_ids[one], prefix_ids[other], own)
            for one, other in zip(order, order[1:])
        ),
    ]

    def fill(size: int) -> Tuple[List[List[int]], List[int]]:
        """Beside the prompt before it, else in the first row with room: slots of each prompt, filled slots of each row."""
        slots: List[List[int]] = [[] for _ in prefix_ids]
        filled, row, previous = [first], 0, beginning
        for index, length, common in zip(order, lengths, known):
            if filled[row] + length - common > size:
                common, previous = len(beginning), beginning
                rooms = (row for row, taken in enumerate(filled) if taken + length - common <= size)
                row = next(rooms, len(filled))
                if row == len(filled):
                    filled.append(0)
            start = filled[row] + row * size
            filled[row] += length - common
            previous = slots[index] = previous[:common] + [*range(start, start + length - common)]
        return slots, filled

    slots, filled = fill(sys.maxsize)
    if filled[0] <= _LONGEST:
        return slots, 1, filled[0]
    shortest = max(_SHORTEST, first, max(lengths) - len(beginning))
    layouts = ((size, *fill(size)) for size in range(shortest, max(_LONGEST, shortest) + 1))
    size, slots, filled = min(layouts, key=lambda layout: layout[0] * len(layout[2]))
    return slots, len(filled), size


def agreement(one: Sequence[int], other: Sequence[int], own: Optional[int] = None) -> int:
    """Number of leading positions, before ``own``, in which two sequences agree."""
    count = 0
    for a, b in zip(one[:own], other[:own]):
        if a != b:
            break
        count += 1
    return count


def shared_length(prefix_ids: PrefixIds, own: Optional[int] = None) -> int:
    """Number of leading positions that all prompts have in common, the last token of the shortest left out."""
    lowest, highest = (
        min(prefix_ids),
        max(prefix_ids),
    )  # what these two share, all that lie between them do
    return min(agreement(lowest, highest, own), min(map(len, prefix_ids)) - 1)
