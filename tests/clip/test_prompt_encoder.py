"""The fast text encoding equals the plain one, in features and gradients, for every way of prompting."""

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
    'own for each prompt',
    'own for each prompt, over shared ones',
]


def tokens(clip, *shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(*shape, clip.text_width, generator=generator, dtype=torch.float64) * 0.05
    ).requires_grad_()


def edits_of(kind, clip, count):
    """Edits of one kind, and the leaves to compare gradients of."""
    shared, own = tokens(clip, 3, seed=1), tokens(clip, count, 2, seed=2)
    return {
        'none': ({}, []),
        'deep': ({1: replace_tokens(shared)}, [shared]),
        'deep in every block': ({0: replace_tokens(shared), 1: replace_tokens(shared)}, [shared]),
        'inserted': ({1: insert_tokens(shared)}, [shared]),
        'inserted, then replaced': (
            {0: insert_tokens(shared), 1: replace_tokens(shared)},
            [shared],
        ),
        'own for each prompt': ({1: replace_tokens(own)}, [own]),
        'own for each prompt, over shared ones': (
            {0: replace_tokens(shared), 1: replace_tokens(own, 2)},
            [shared, own],
        ),
    }[kind]


def table_of(prompts):
    """Leaf of the embeddings, one a beginning that occurs, and which of them the places of the prompts are (N, L): the same
    function of the same variables for ways that compute a beginning once or several times."""
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
    """Features and gradients of one way of encoding."""
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
    monkeypatch.setattr(
        prompt_encoder, 'encode_prompts_plain', None
    )  # each kind is encoded the fast way, none falls back
    assert_same(outcome(encode_prompts, random_clip, prompts, kind), plain)


@pytest.mark.parametrize('own', [0, 1, 2, 5, 30])
@pytest.mark.parametrize('kind', ['none', 'deep', 'inserted'])
def test_less_may_be_declared_shared(random_clip, own, kind):
    random_clip.double()
    prompts = random_clip.embed_prompts(
        random_clip.tokenize([f'a photo of a {n}.' for n in NAMES])
    )._replace(own=own)
    assert_same(
        outcome(encode_prompts, random_clip, prompts, kind),
        outcome(encode_prompts_plain, random_clip, prompts, kind),
    )


def odd_edits(clip):
    shared, own = tokens(clip, 2, seed=1), tokens(clip, len(NAMES), 2, seed=2)
    return {
        'two insertions': {0: insert_tokens(shared), 1: insert_tokens(shared)},
        'replaced before an insertion': {0: replace_tokens(shared), 1: insert_tokens(shared)},
        'insertion behind what is shared': {1: insert_tokens(shared, 6)},
        'insertion of own tokens': {1: insert_tokens(own)},
        'insertion, then own tokens': {0: insert_tokens(shared), 1: replace_tokens(own)},
    }


@pytest.mark.parametrize(
    'kind',
    [
        'two insertions',
        'replaced before an insertion',
        'insertion behind what is shared',
        'insertion of own tokens',
        'insertion, then own tokens',
    ],
)
def test_rare_edits_are_left_to_the_plain_way(random_clip, kind):
    random_clip.double()
    prompts = random_clip.embed_prompts(random_clip.tokenize([f'a photo of a {n}.' for n in NAMES]))
    edits = odd_edits(random_clip)[kind]
    features, plain = (
        encode(random_clip.text_tower, prompts, edits)
        for encode in (encode_prompts, encode_prompts_plain)
    )
    torch.testing.assert_close(features, plain, rtol=1e-9, atol=1e-11)


def test_a_block_of_another_kind_keeps_its_own_forward(random_clip, monkeypatch):
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


def test_what_was_prepared_without_gradient_serves_in_training(random_clip):
    prompts = random_clip.embed_prompts(
        random_clip.tokenize(['a photo of a sea lion.', 'a photo of a sea snake.'])
    )
    with torch.inference_mode():
        encode_prompts(random_clip.text_tower, prompts)
    embeddings = prompts.embeddings.clone().requires_grad_()
    encode_prompts(random_clip.text_tower, prompts._replace(embeddings=embeddings)).sum().backward()
    assert embeddings.grad.abs().sum() > 0
