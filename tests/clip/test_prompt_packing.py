"""Prompts packed as a tree: every token has a slot and sees exactly the tokens before it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fvgpt.clip.prompt_packing import agreement, pack, shared_length

END = 9
PROMPT = st.lists(st.integers(0, 2), max_size=12).map(lambda ids: (7, *ids, END))
PROMPTS = st.lists(PROMPT, min_size=1, max_size=40).map(tuple)


@settings(max_examples=100, deadline=None)
@given(PROMPTS, st.one_of(st.none(), st.integers(0, 8)), st.integers(0, 3))
def test_a_slot_sees_exactly_the_prefix_of_its_token(prompts, max_shared, reserved):
    start = 1 if max_shared is None or max_shared > 0 else 0
    packing = pack(prompts, max_shared, (start, reserved))
    size = packing.mask.shape[1]
    assert packing.shared == shared_length(prompts, max_shared) + reserved
    prefix_ids = [prompts[n][p] for n, p in zip(packing.prompt.tolist(), packing.position.tolist())]
    for n, prompt in enumerate(prompts):
        slots = packing.slot[n]
        assert (slots >= 0).sum() == len(prompt) and slots[len(prompt) - 1] == packing.end[n]
        slots = slots[: len(prompt)].tolist()
        assert [prefix_ids[slot] for slot in slots] == list(prompt)
        for position, slot in enumerate(slots):
            row, place = divmod(slot, size)
            seen = packing.mask[row, place].nonzero().squeeze(1).tolist()
            seen = [s if s < packing.shared else row * size + s - packing.shared for s in seen]
            seen = [s for s in seen if not start <= s < start + reserved]
            assert seen == slots[: position + 1]


@settings(max_examples=50, deadline=None)
@given(PROMPTS)
def test_within_one_row_every_prefix_has_one_slot(prompts):
    packing = pack(prompts)
    if len(packing.mask) == 1:
        assert len(packing.prompt) == len(
            {prompt[: i + 1] for prompt in prompts for i in range(len(prompt))}
        )


@settings(max_examples=50, deadline=None)
@given(PROMPTS, st.integers(0, 8))
def test_behind_max_shared_nothing_is_shared(prompts, max_shared):
    slots = pack(prompts, max_shared).slot[:, max_shared:]
    slots = slots[slots >= 0]
    assert len(slots.unique()) == len(slots)


def test_a_thousand_prompts_leave_few_slots_empty():
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(2, 8, (1000,), generator=generator).tolist()
    prompts = tuple(
        (7, 1, 1, 1, 1, *range(1000 * n, 1000 * n + length), END)
        for n, length in enumerate(lengths)
    )
    packing = pack(prompts)
    assert len(packing.prompt) < 1.02 * (5 + sum(lengths) + 1000)


def test_reserved_slots_can_be_hidden():
    packing = pack(((7, 1, 2, END), (7, 1, 3, END)), reserved=(1, 2))
    hidden = packing.hiding(1, 2)
    assert packing.mask[0, 4, 1:3].all() and not hidden[0, 3:, 1:3].any()
    assert hidden.any(-1).all()  # a softmax needs at least one value
    assert hidden[0, 1, 1] and hidden[0, 2, 2]


def test_tokens_cannot_be_inserted_behind_the_shared_prefix():
    with pytest.raises(ValueError, match='position 3: prompts share only 2'):
        pack(((7, 1, 2, END), (7, 1, 3, END)), reserved=(3, 2))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.lists(st.integers(0, 2), min_size=1, max_size=6).map(tuple), min_size=1, max_size=5
    ).map(tuple)
)
def test_shared_length_is_that_of_the_longest_common_prefix(all_ids):
    count = shared_length(all_ids)
    assert count < min(map(len, all_ids))
    assert all(ids[:count] == all_ids[0][:count] for ids in all_ids)
    if count + 1 < min(map(len, all_ids)):
        assert len({ids[count] for ids in all_ids}) > 1


def test_agreement_ends_at_the_first_difference_or_at_max_shared():
    assert agreement((1, 2, 3), (1, 2, 4)) == 2
    assert agreement((1, 2, 3), (1, 2, 3)) == 3
    assert agreement((1, 2, 3), (1, 2, 3), max_shared=1) == 1
