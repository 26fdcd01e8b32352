"""Roll-out and Grad-CAM against simple formulas, with and without prompts in the image tower."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fvgpt.analysis.attention import (
    class_token_rollout,
    grad_cam,
    patch_positions,
    rollout,
    share_inside,
)
from fvgpt.clip import FrozenCLIP, ImagePass, has_attention, record_image_passes
from fvgpt.clip.attention_recording import changed_tokens
from fvgpt.tuners import IVLP, MMRL, CoOp, MaPLe

from ..conftest import TINY_CONFIG, write_clip_folder

NAMES = ['cat', 'dog', 'red star']
PATCHES = 16  # an image of 32 x 32 pixels, patches of 8 x 8
TUNERS = {  # and the position of the first patch in the last block
    'coop': (lambda clip: CoOp(clip, n_ctx=2), 1),
    'ivlp': (lambda clip: IVLP(clip, depth_text=2, depth_vision=2), 1),  # appended, then replaced
    'maple': (lambda clip: MaPLe(clip, depth=2), 1),
    'mmrl': (lambda clip: MMRL(clip, layers=[2], rep_dim=8), 6),  # 5 inserted after the class token
}


@pytest.fixture(params=sorted(TUNERS))
def tuner_and_start(request, random_clip):
    torch.manual_seed(1)
    build, start = TUNERS[request.param]
    tuner = build(random_clip).eval().requires_grad_(False)
    tuner.set_class_names(NAMES)
    return tuner, start


def images(count=2):
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(4))


# ------------------------------------------------------------------ recording
def test_recording_changes_no_feature_and_removes_its_hooks(tuner_and_start):
    tuner, _ = tuner_and_start
    with torch.no_grad():
        before = tuner.encode_image(images())['feature']
        with record_image_passes(tuner.clip) as passes:
            during = tuner.encode_image(images())['feature']
            tuner.encode_image(images(1))
        tuner.encode_image(images())
    torch.testing.assert_close(during, before, atol=1e-5, rtol=1e-5)
    assert [len(seen.tokens) for seen in passes] == [2, 1]
    assert not passes[0].tokens.requires_grad
    blocks = tuner.clip.model.visual.transformer.resblocks
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in blocks.modules())


def slow_attention(block, x):
    """softmax(q k^T / sqrt(d)) per head, averaged over the heads."""
    h, heads = block.ln_1(x), block.attn.num_heads
    q, k, _ = torch.nn.functional.linear(
        h, block.attn.in_proj_weight, block.attn.in_proj_bias
    ).chunk(3, -1)
    width = q.shape[-1] // heads
    maps = [
        ((q[..., i : i + width] @ k[..., i : i + width].mT) / width**0.5).softmax(-1)
        for i in range(0, heads * width, width)
    ]
    return sum(maps) / heads


def test_attention_is_that_of_the_tower_and_rollout_the_product(random_clip):
    visual = random_clip.model.visual
    x = visual._embeds(images())
    product = torch.eye(1 + PATCHES)
    with torch.no_grad(), record_image_passes(random_clip) as passes:
        random_clip.encode_image(images())
    for block, seen in zip(visual.transformer.resblocks, passes[0].attention):
        attention = slow_attention(block, x)
        torch.testing.assert_close(seen, attention)
        product = (0.5 * attention + 0.5 * torch.eye(1 + PATCHES)) @ product
        x = block(x)
    torch.testing.assert_close(rollout(passes[0])[..., :-1], product)
    torch.testing.assert_close(class_token_rollout(passes[0]), product[:, 0, 1:])
    assert not rollout(passes[0])[..., -1].any(), 'there are no prompts'


def test_rollout_rows_add_up_to_one_and_prompts_have_their_share(tuner_and_start):
    tuner, _ = tuner_and_start
    with torch.no_grad(), record_image_passes(tuner.clip) as passes:
        tuner.encode_image(images())
    shares = rollout(passes[0])
    assert shares.shape == (2, passes[0].tokens.shape[1], PATCHES + 2) and (shares >= 0).all()
    torch.testing.assert_close(shares.sum(-1), torch.ones(shares.shape[:2]))
    assert (shares[:, 0, -1] > 0).all() == (not tuner.image_tower_is_clip)


def test_positions_of_the_patches_in_the_last_block(tuner_and_start):
    tuner, start = tuner_and_start
    with torch.no_grad(), record_image_passes(tuner.clip) as passes:
        tuner.encode_image(images())
    assert patch_positions(passes[0]).tolist() == list(range(start, start + PATCHES))


def test_rollout_by_hand_with_inserted_and_replaced_tokens():
    """One patch; a prompt inserted before block 2 and replaced before block 3, without its past."""
    # Block 1: the class token attends to itself and to the patch.
    a = torch.tensor([[0.5, 0.5], [0.0, 1.0]])
    # Blocks 2 and 3: the class token attends to the prompt, and the prompt to the patch.
    b = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    seen = ImagePass(
        1,
        [a[None], b[None], b[None]],
        [
            torch.tensor([False] * 2),
            torch.tensor([False, True, False]),
            torch.tensor([False, True, False]),
        ],
    )
    # Columns: class token, patch, prompts.
    # After block 1: class token (.75, .25, 0), patch (0, 1, 0).
    # After block 2: class token, half itself and half prompt (0, 0, 1): (.375, .125, .5); prompt,
    # half itself and half patch: (0, .5, .5).
    # Before block 3 the prompt is replaced: (0, 0, 1); class token after it: (.1875, .0625, .75).
    expected = torch.tensor([[0.1875, 0.0625, 0.75], [0, 0.5, 0.5], [0, 1, 0]])
    torch.testing.assert_close(rollout(seen)[0], expected)


@pytest.mark.parametrize(
    'start, count, insert', [(1, 2, True), (3, 1, True), (5, 2, True), (1, 2, False), (3, 2, False)]
)
def test_changed_tokens_are_those_inserted_or_replaced(start, count, insert):
    before, new = torch.randn(5, 4), torch.randn(count, 4)
    after = torch.cat([before[:start], new, before[start + (0 if insert else count) :]])
    assert changed_tokens(before, after).nonzero().flatten().tolist() == list(
        range(start, start + count)
    )


def test_a_tower_without_class_token_is_refused(tmp_path):
    config = dict(
        TINY_CONFIG,
        embed_dim=16,
        vision_cfg=dict(image_size=32, layers=[1, 1, 1, 1], width=8, patch_size=None),
        text_cfg=dict(context_length=77, vocab_size=49408, width=64, heads=2, layers=1),
    )
    clip = FrozenCLIP(f'local-dir:{write_clip_folder(tmp_path, config)}', pretrained='random')
    assert not has_attention(clip)
    with pytest.raises(ValueError, match='not a ViT with a class token'), record_image_passes(clip):
        pass


# ------------------------------------------------------------------ Grad-CAM
def test_grad_cam_against_finite_differences(tuner_and_start):
    """alpha_k is the slope of the score if channel k of all P patches changes by 1 / P each."""
    tuner, start = tuner_and_start
    tuner.double()
    x = images().double()
    with torch.no_grad():
        text = tuner.encode_text()
    patches = slice(start, start + PATCHES)
    attention = tuner.clip.model.visual.transformer.resblocks[-1].attn

    def score(delta):
        handle = attention.register_forward_pre_hook(
            lambda module, args: tuple(a + delta for a in args)
        )
        with torch.no_grad():
            z = tuner.logits(tuner.encode_image(x), text)[:, 1].double()
        handle.remove()
        return z

    with record_image_passes(tuner.clip) as passes:
        z = tuner.logits(tuner.encode_image(x), text)
        found = grad_cam(passes, z[:, 1].sum())
    tokens = passes[0].tokens.detach()
    alpha = []
    for channel in range(0, tokens.shape[-1]):
        delta = torch.zeros_like(tokens)
        delta[:, patches, channel] = 1e-2
        alpha.append((score(delta) - score(-delta)) / (2e-2 * PATCHES))
    expected = torch.einsum('bpc,cb->bp', tokens[:, patches], torch.stack(alpha)).relu()
    torch.testing.assert_close(found, expected, atol=float(2e-3 * expected.max()), rtol=0)
    assert (found > 0).any()


def hand_pass(tokens):
    is_prompt = [torch.zeros(tokens.shape[1], dtype=torch.bool)]
    return ImagePass(
        tokens.shape[1] - 1, [torch.eye(tokens.shape[1])[None]], is_prompt, tokens.requires_grad_()
    )


def test_grad_cam_by_hand():
    """If a score is linear in the tokens, alpha is the mean of its weights over the patches."""
    tokens = torch.tensor([[[9.0, 9.0], [1.0, 2.0], [3.0, -4.0]]])  # class token, two patches
    weights = torch.tensor([[[5.0, 5.0], [1.0, 0.0], [0.0, 1.0]]])
    seen = hand_pass(tokens)
    other = hand_pass(torch.ones(1, 3, 2))
    # alpha = (.5, .5): maps 1.5 and -.5
    assert grad_cam([seen, other], (weights * seen.tokens).sum()).tolist() == [[1.5, 0]]
    # the other pass adds 2 to both before the relu
    assert grad_cam(
        [seen, other], (weights * seen.tokens).sum() + 2 * other.tokens[:, 1:].sum()
    ).tolist() == [[5.5, 3.5]]


# ------------------------------------------------------------------ shares
@settings(max_examples=50, deadline=None)
@given(arrays(float, (2, 4), elements=st.floats(0.01, 10)), arrays(bool, (2, 8, 8)))
def test_share_inside_equals_that_of_the_map_resized_to_the_pixels(patch_map, mask):
    found = share_inside(
        torch.tensor(patch_map), torch.tensor(mask, dtype=torch.double)[:, None], (2, 2)
    )
    spread = np.kron(patch_map.reshape(2, 2, 2), np.ones((4, 4)))
    np.testing.assert_allclose(found, (spread * mask).sum((1, 2)) / spread.sum((1, 2)), atol=1e-9)
    full = share_inside(torch.tensor(patch_map), torch.ones(2, 1, 8, 8, dtype=torch.double), (2, 2))
    np.testing.assert_allclose(full, 1)


def test_the_share_of_a_map_of_zeros_is_nan():
    assert share_inside(torch.zeros(1, 4), torch.ones(1, 1, 8, 8), (2, 2)).isnan().all()
