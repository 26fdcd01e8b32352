"""Token ids equal those of the original CLIP tokenizer."""

import pytest

from .golden import load_run


def padded(clip, text):
    ids = clip.tokenize([text])[0]
    return ids + [0] * (clip.context_length - len(ids))


@pytest.mark.parametrize(
    'key, template, clean',
    [
        ('raw', '{}', False),
        ('name_only', '{}', True),
        ('x4', 'X X X X {}.', True),
        ('photo', 'a photo of a {}.', True),
        ('x16', ' '.join(['X'] * 16) + ' {}.', True),
        ('texture', '{} texture.', True),
        ('pet', 'a photo of a {}, a type of pet.', True),
    ],
)
def test_token_ids(parity, tiny_clip, key, template, clean):
    arrays, settings = load_run(parity / 'common' / 'tokens.safetensors')
    for name, expected in zip(settings['names'], arrays[key].tolist()):
        text = template.format(name.replace('_', ' ') if clean else name)
        assert padded(tiny_clip, text) == expected, text


def test_prompt_that_fills_the_context(parity, tiny_clip):
    arrays, settings = load_run(parity / 'common' / 'tokens.safetensors')
    assert padded(tiny_clip, settings['exact_text']) == arrays['exact_77'].flatten().tolist()


def test_prompt_that_is_too_long_is_refused_by_name(parity, tiny_clip):
    _, settings = load_run(parity / 'common' / 'tokens.safetensors')
    with pytest.raises(ValueError, match='103 tokens.*at most 77'):
        tiny_clip.tokenize([settings['long_text']])
