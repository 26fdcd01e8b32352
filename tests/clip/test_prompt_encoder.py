"""The fast text encoding equals the plain one, in features and gradients, for every way of prompting."""
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fvgpt.clip.prompt_encoder import encode_prompts, encode_prompts_in_chunks, encode_prompts_plain, shared_length
from fvgpt.clip.token_edits import insert_tokens, replace_tokens

NAMES = ['cat', '2012 Acura RL Sedan', 'yellow-crested cockatoo', 'a']


def tokens(clip, *shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(*shape, clip.text_width, generator=generator, dtype=torch.float64) * .05).requires_grad_()


def edits_of(kind, clip, count):
    """Edits of one kind, and the leaves to compare gradients of."""
    shared, own = tokens(clip, 3, seed=1), tokens(clip, count, 3, seed=2)
    return {
        'none': ({}, []),
        'deep': ({1: replace_tokens(shared)}, [shared]),
        'deep in every block': ({0: replace_tokens(shared), 1: replace_tokens(shared)}, [shared]),
        'inserted': ({1: insert_tokens(shared)}, [shared]),
        'inserted, then replaced': ({0: insert_tokens(shared), 1: replace_tokens(shared)}, [shared]),
        'own for each prompt': ({1: replace_tokens(own)}, [own]),
    }[kind]


@pytest.mark.parametrize('kind', ['none', 'deep', 'deep in every block', 'inserted', 'inserted, then replaced',
                                  'own for each prompt'])
@pytest.mark.parametrize('names', [NAMES, NAMES[:1], ['cat', 'cat']], ids=['four', 'one', 'equal'])
@pytest.mark.parametrize('template', ['a photo of a {}.', '{} texture, seen from near.'])
def test_features_and_gradients(random_clip, kind, names, template):
    random_clip.double()
    prompts = random_clip.embed_prompts(random_clip.tokenize([template.format(n) for n in names]))
    outcomes = []
    for encode in (encode_prompts_plain, encode_prompts):
        edits, leaves = edits_of(kind, random_clip, len(names))
        # one leaf for what is shared, so that both ways see the same function of the same variables
        prefix = prompts.embeddings[0, :prompts.shared].clone().requires_grad_()
        rest = prompts.embeddings[:, prompts.shared:].clone().requires_grad_()
        embeddings = torch.cat([prefix.expand(len(names), -1, -1), rest], 1)
        features = encode(random_clip.text_tower, prompts._replace(embeddings=embeddings), edits)
        weights = torch.linspace(-1, 1, features.numel(), dtype=features.dtype).view_as(features)
        gradients = torch.autograd.grad((features * weights).sum(), [prefix, rest, *leaves])
        outcomes.append([features, *gradients])
    for plain, fast in zip(*outcomes):
        torch.testing.assert_close(fast, plain, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize('kind', ['none', 'deep', 'inserted', 'own for each prompt'])
@pytest.mark.parametrize('max_tokens', [1, 12, 1000])
def test_chunks_with_recomputation_give_the_same_gradients(random_clip, kind, max_tokens):
    random_clip.double()
    prompts = random_clip.embed_prompts(random_clip.tokenize([f'a photo of a {n}.' for n in NAMES]))
    outcomes = []
    for chunk in (10**6, max_tokens):
        edits, leaves = edits_of(kind, random_clip, len(NAMES))
        embeddings = prompts.embeddings.clone().requires_grad_()
        features = encode_prompts_in_chunks(random_clip.text_tower, prompts._replace(embeddings=embeddings), edits, chunk)
        outcomes.append([features, *torch.autograd.grad(features.square().sum(), [embeddings, *leaves])])
        with torch.no_grad():
            again = encode_prompts_in_chunks(random_clip.text_tower, prompts, edits, chunk)
        torch.testing.assert_close(again, features.detach(), rtol=1e-9, atol=1e-11)
    # of what is shared, each chunk reads its own first row: the sum over rows is what an optimizer sees
    (whole, whole_gradient, *others), (chunked, chunked_gradient, *chunked_others) = outcomes
    torch.testing.assert_close(chunked, whole, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(chunked_gradient.sum(0), whole_gradient.sum(0), rtol=1e-9, atol=1e-11)
    for one, other in zip(chunked_others, others):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize('shared', [0, 1, 2])
def test_less_may_be_declared_shared(random_clip, shared):
    random_clip.double()
    prompts = random_clip.embed_prompts(random_clip.tokenize([f'a photo of a {n}.' for n in NAMES]))
    assert prompts.shared == 5
    edits, _ = edits_of('deep', random_clip, len(NAMES))
    for e in ({}, edits):
        torch.testing.assert_close(encode_prompts(random_clip.text_tower, prompts._replace(shared=shared), e),
                                   encode_prompts_plain(random_clip.text_tower, prompts, e), rtol=1e-9, atol=1e-11)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=5))
def test_shared_length_is_the_longest_common_beginning(all_ids):
    count = shared_length(all_ids)
    assert count < min(map(len, all_ids))
    assert all(ids[:count] == all_ids[0][:count] for ids in all_ids)
    if count + 1 < min(map(len, all_ids)):
        assert len({ids[count] for ids in all_ids}) > 1
