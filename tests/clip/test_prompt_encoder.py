"""The packed text encoding equals the plain one in features and gradients, for all edits."""

import pytest
import torch
from open_clip.transformer import ResidualAttentionBlock

from fvgpt.clip import prompt_encoder
from fvgpt.clip.prompt_encoder import encode_prompts, encode_prompts_in_chunks, encode_prompts_plain
from fvgpt.clip.token_edits import insert_tokens, replace_tokens

NAMES = ['cat', '2012 Acura RL Sedan', 'yellow-crested cockatoo', 'a', '2012 Acura TL Sedan', 'cat']
KINDS = [
    'none',
    'deep',
    'deep in every block',
    'inserted',
    'inserted, then replaced',
    'per prompt',
    'per prompt, over shared ones',
]


def tokens(clip, *shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(*shape, clip.text_width, generator=generator, dtype=torch.float64) * 0.05
    ).requires_grad_()


def edits_of(kind, clip, count):
    """Edits of one kind, and the tensors whose gradients are compared."""
    shared, per_prompt = tokens(clip, 3, seed=1), tokens(clip, count, 2, seed=2)
    return {
        'none': ({}, []),
        'deep': ({1: replace_tokens(shared)}, [shared]),
        'deep in every block': ({0: replace_tokens(shared), 1: replace_tokens(shared)}, [shared]),
        'inserted': ({1: insert_tokens(shared)}, [shared]),
        'inserted, then replaced': (
            {0: insert_tokens(shared), 1: replace_tokens(shared)},
            [shared],
        ),
        'per prompt': ({1: replace_tokens(per_prompt)}, [per_prompt]),
        'per prompt, over shared ones': (
            {0: replace_tokens(shared), 1: replace_tokens(per_prompt, 2)},
            [shared, per_prompt],
        ),
    }[kind]


def table_of(prompts):
    """Make prompts a function of one embedding per distinct prefix.

    Ways of encoding that compute a common prefix once or several times then have the same
    variables, so that their gradients can be compared.

    Returns:
        The embeddings, a leaf (number of prefixes, W), and the index of each token's embedding (N,
        L).
    """
    rows, index = {}, torch.zeros(prompts.embeddings.shape[:2], dtype=torch.long)
    for n, prefix_ids in enumerate(prompts.prefix_ids):
        for position in range(len(prefix_ids)):
            index[n, position], _ = rows.setdefault(
                prefix_ids[: position + 1], (len(rows), (n, position))
            )
    return torch.stack(
        [prompts.embeddings[place] for _, place in rows.values()]
    ).requires_grad_(), index


def outcome(encode, clip, prompts, kind):
    """Features and gradients of one way of encoding, with one kind of edits."""
    edits, leaves = edits_of(kind, clip, len(prompts.prefix_ids))
    table, index = table_of(prompts)
    features = encode(clip.text_tower, prompts._replace(embeddings=table[index]), edits)
    weights = torch.linspace(-1, 1, features.numel(), dtype=features.dtype).view_as(features)
    return [features, *torch.autograd.grad((features * weights).sum(), [table, *leaves])]


def assert_same(one, other):
    for a, b in zip(one, other):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize(
    'names',
    [NAMES, NAMES[:1], ['cat', 'cat'], 20 * NAMES + list(map(str, range(70)))],
    ids=['some', 'one', 'equal', 'many'],
)
@pytest.mark.parametrize('template', ['a photo of a {}.', '{} texture, seen from near.'])
def test_features_and_gradients(random_clip, monkeypatch, kind, names, template):
    random_clip.double()
    prompts = random_clip.embed_prompts(random_clip.tokenize([template.format(n) for n in names]))
    plain = outcome(encode_prompts_plain, random_clip, prompts, kind)
    # None of these kinds falls back on the plain way.
    monkeypatch.setattr(prompt_encoder, 'encode_prompts_plain', None)
    assert_same(outcome(encode_prompts, random_clip, prompts, kind), plain)


@pytest.mark.parametrize('max_shared', [0, 1, 2, 5, 30])
@pytest.mark.parametrize('kind', ['none', 'deep', 'inserted'])
def test_max_shared_changes_no_result(random_clip, max_shared, kind):
    random_clip.double()
    prompts = random_clip.embed_prompts(
        random_clip.tokenize([f'a photo of a {n}.' for n in NAMES])
    )._replace(max_shared=max_shared)
    assert_same(
        outcome(encode_prompts, random_clip, prompts, kind),
        outcome(encode_prompts_plain, random_clip, prompts, kind),
    )


def rare_edits(clip):
    shared, per_prompt = tokens(clip, 2, seed=1), tokens(clip, len(NAMES), 2, seed=2)
    return {
        'two insertions': {0: insert_tokens(shared), 1: insert_tokens(shared)},
        'replaced before an insertion': {0: replace_tokens(shared), 1: insert_tokens(shared)},
        'insertion behind the shared prefix': {1: insert_tokens(shared, 6)},
        'insertion per prompt': {1: insert_tokens(per_prompt)},
        'insertion, then per prompt': {0: insert_tokens(shared), 1: replace_tokens(per_prompt)},
    }


@pytest.mark.parametrize(
    'kind',
    [
        'two insertions',
        'replaced before an insertion',
        'insertion behind the shared prefix',
        'insertion per prompt',
        'insertion, then per prompt',
    ],
)
def test_rare_edits_fall_back_on_the_plain_way(random_clip, kind):
    random_clip.double()
    prompts = random_clip.embed_prompts(random_clip.tokenize([f'a photo of a {n}.' for n in NAMES]))
    edits = rare_edits(random_clip)[kind]
    features, plain = (
        encode(random_clip.text_tower, prompts, edits)
        for encode in (encode_prompts, encode_prompts_plain)
    )
    torch.testing.assert_close(features, plain, rtol=1e-9, atol=1e-11)


def test_a_sub_class_of_the_block_runs_its_own_forward(random_clip, monkeypatch):
    class Twice(ResidualAttentionBlock):
        def forward(self, *args, **kwargs):
            return 2 * super().forward(*args, **kwargs)

    prompts = random_clip.embed_prompts(random_clip.tokenize(NAMES))
    monkeypatch.setattr(random_clip.text_tower.transformer.resblocks[0], '__class__', Twice)
    features, plain = (
        encode(random_clip.text_tower, prompts) for encode in (encode_prompts, encode_prompts_plain)
    )
    torch.testing.assert_close(features, plain)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('max_tokens', [1, 12, 1000])
def test_chunks_with_recomputation_give_the_same_gradients(random_clip, kind, max_tokens):
    def in_chunks(tower, prompts, edits):
        features = encode_prompts_in_chunks(tower, prompts, edits, max_tokens)
        with torch.no_grad():
            again = encode_prompts_in_chunks(tower, prompts, edits, max_tokens)
        torch.testing.assert_close(again, features.detach(), rtol=1e-9, atol=1e-11)
        return features

    random_clip.double()
    prompts = random_clip.embed_prompts(random_clip.tokenize([f'a photo of a {n}.' for n in NAMES]))
    assert_same(
        outcome(in_chunks, random_clip, prompts, kind),
        outcome(encode_prompts_plain, random_clip, prompts, kind),
    )


def test_a_layout_made_in_inference_mode_can_be_used_in_training(random_clip):
    prompts = random_clip.embed_prompts(
        random_clip.tokenize(['a photo of a sea lion.', 'a photo of a sea snake.'])
    )
    with torch.inference_mode():
        encode_prompts(random_clip.text_tower, prompts)
    embeddings = prompts.embeddings.clone().requires_grad_()
    encode_prompts(random_clip.text_tower, prompts._replace(embeddings=embeddings)).sum().backward()
    assert embeddings.grad.abs().sum() > 0
