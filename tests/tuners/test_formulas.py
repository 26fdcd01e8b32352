"""Methods that no golden arrays cover, against slow formulas written from their description."""

import pytest
import torch
import torch.nn.functional as F

from fvgpt.tuners import (
    IVLP,
    MMRL,
    TCP,
    CLIPAdapter,
    CoOp,
    KgCoOp,
    MaPLe,
    ProGrad,
    PromptSRC,
    TipAdapter,
)
from fvgpt.tuners.prograd import projection

from ..foreground.test_fvgpt import batch

NAMES = ['cat', 'dog', 'yellow-crested cockatoo']


def step(tuner, seed=0):
    images, samples = batch(seed)
    labels = torch.cat([s.gt_label for s in samples])
    return images, labels, tuner.encode_image(images), tuner.encode_text()


@pytest.mark.parametrize('seed', range(6))
def test_prograd_never_steps_against_clip(random_clip, seed):
    torch.manual_seed(seed)
    tuner = ProGrad(random_clip, ctx_init=None, n_ctx=2).set_class_names(NAMES)
    _, labels, image, text = step(tuner, seed)
    terms = tuner.tuning_loss(image, text, labels)
    terms['loss_ce'].backward()
    got = tuner.ctx.grad.clone()
    text = tuner.encode_text()
    z, z0 = tuner.logits(image, text), tuner.logits(image, dict(feature=tuner.clip_text))
    ce = F.cross_entropy(z, labels)
    # KL(p0 || p) by its definition
    p0 = z0.softmax(-1)
    kl = (p0 * (p0.log() - z.log_softmax(-1))).sum(-1).mean()
    (g_d,) = torch.autograd.grad(ce, tuner.ctx, retain_graph=True)
    (g_g,) = torch.autograd.grad(kl, tuner.ctx)
    inner = (g_d * g_g).sum()
    expected = g_d - inner / g_g.norm() ** 2 * g_g if inner < 0 else g_d
    assert (got - expected).norm() < 1e-3 * expected.norm()
    assert (got * g_g).sum() >= -1e-4 * got.norm() * g_g.norm()
    assert terms['loss_ce'].item() == pytest.approx(ce.item(), rel=1e-5)
    assert bool(terms['conflict']) == bool(inner < 0)


@pytest.mark.parametrize('seed', range(6))
def test_prograd_at_zero_shot_clip_takes_no_direction_from_rounding(random_clip, seed):
    tuner = ProGrad(random_clip, template='a photo of a {}.').set_class_names(NAMES)
    noise = torch.randn(tuner.clip_text.shape, generator=torch.Generator().manual_seed(seed))
    # the last bits, which differ between processors
    tuner.clip_text *= 1 + torch.finfo(torch.float32).eps * noise.sign()
    _, labels, image, text = step(tuner, seed)
    (g_d,) = torch.autograd.grad(F.cross_entropy(tuner.logits(image, text), labels), tuner.ctx)
    terms = tuner.tuning_loss(image, tuner.encode_text(), labels)
    terms['loss_ce'].backward()
    torch.testing.assert_close(tuner.ctx.grad, g_d, rtol=1e-5, atol=1e-6 * g_d.abs().max().item())
    assert not terms['conflict']


def test_prograd_projection_of_gradients_of_any_length():
    g_d, g_g = torch.tensor([3.0, -4.0]), torch.tensor([0.0, 2.0])
    for length in (1.0, 1e-2, 1e-12):  # of both: only their ratio counts
        along, direction = projection(length * g_d, length * g_g, 1e-5)
        assert along.item() == pytest.approx(-4 * length, rel=1e-5)
        assert direction.tolist() == pytest.approx([0, 1])
    for small in (0.0, 1e-6):
        along, direction = projection(g_d, small * g_g, 1e-5)
        assert along == 0 and not direction.any()
    along, direction = projection(0 * g_d, 0 * g_g, 1e-5)
    assert along == 0 and not direction.any()


def test_tcp_tokens_stand_in_the_context_of_their_class(random_clip):
    torch.manual_seed(0)
    tuner = TCP(random_clip, layer=1, hidden=8).set_class_names(NAMES)
    tower, got = random_clip.text_tower, tuner.encode_text()['feature']
    for row, name in enumerate(NAMES):  # one class at a time, the full context, block by block
        ids = random_clip.tokenize([f'a photo of a {name}.'])[0]
        ids = ids + [0] * (77 - len(ids))
        x = random_clip.embed_tokens(ids)[None].clone()
        x[:, 1:5] = tuner.ctx
        x = x + tower.positional_embedding
        hand = random_clip.encode_text([f'a photo of a {name}.'])[0]
        first, _, second = tuner.meta_net
        hidden = first(hand / hand.norm())
        tokens = second(hidden * torch.sigmoid(1.702 * hidden)).reshape(4, -1)
        for index, block in enumerate(tower.transformer.resblocks):
            if index == 1:
                x = torch.cat([x[:, :1], tokens[None], x[:, 5:]], 1)
            x = block(x, attn_mask=tower.attn_mask)
        end = ids.index(random_clip.tokenizer.eot_token_id)
        torch.testing.assert_close(
            got[row], tower.ln_final(x[0, end]) @ tower.text_projection, rtol=1e-4, atol=1e-5
        )
    _, labels, image, text = step(tuner)
    terms = tuner.tuning_loss(image, text, labels)
    cosines = [F.cosine_similarity(g, h, dim=0) for g, h in zip(got, tuner.clip_text)]
    assert terms['loss_kg'].item() == pytest.approx(
        8 * (1 - sum(cosines) / 3).item(), rel=1e-4, abs=1e-5
    )


def test_clip_adapter_blends_features(random_clip):
    torch.manual_seed(0)
    tuner = CLIPAdapter(random_clip, ratio=0.3).set_class_names(NAMES)
    images, *_ = step(tuner)
    f0 = random_clip.encode_image(images)
    adapted = F.relu(F.relu(f0 @ tuner.adapter[0].weight.T) @ tuner.adapter[2].weight.T)
    torch.testing.assert_close(tuner.encode_image(images)['feature'], 0.3 * adapted + 0.7 * f0)
    assert sum(p.numel() for p in tuner.parameters()) == 2 * 16 * 4


def test_tip_adapter_by_its_formula_and_zero_shot_for_new_classes(random_clip):
    torch.manual_seed(0)
    tip = TipAdapter(random_clip, cache_size=5, alpha=2.0, beta=3.0).set_class_names(NAMES)
    with pytest.raises(RuntimeError, match='TipCacheHook'):
        tip(torch.randn(1, 3, 32, 32))
    features, labels = torch.randn(5, random_clip.embed_dim), torch.tensor([0, 0, 1, 2, 2])
    with pytest.raises(ValueError, match='cache_size=5; set cache_size to 4'):
        tip.fill_cache(features[:4], labels[:4])
    tip.fill_cache(features, labels)
    images = torch.randn(2, 3, 32, 32)
    f, g = (
        random_clip.encode_image(images),
        random_clip.encode_text([f'a photo of a {n}.' for n in NAMES]),
    )
    for row in range(2):
        for c in range(3):
            z = random_clip.logit_scale * F.cosine_similarity(f[row], g[c], dim=0)
            cache = sum(
                torch.exp(-3 * (1 - F.cosine_similarity(f[row], features[k], dim=0)))
                for k in range(5)
                if labels[k] == c
            )
            assert tip(images)[row, c].item() == pytest.approx(
                (z + 2 * cache).item(), rel=1e-4, abs=1e-4
            )
    tip.set_class_names(NAMES, 'new')
    torch.testing.assert_close(
        tip(images), random_clip.logit_scale * F.normalize(f, dim=-1) @ F.normalize(g, dim=-1).T
    )


def test_original_regularisation_weights_of_mmrl_by_data_set(random_clip):
    assert MMRL(random_clip, layers=[2], rep_dim=4, reg_weight='StanfordCars').reg_weight == 7
    with pytest.raises(ValueError, match='reg_weight'):
        MMRL(random_clip, layers=[2], rep_dim=4, reg_weight='CUB')
    with pytest.raises(ValueError, match='consecutive'):
        MMRL(random_clip, layers=[2, 1], rep_dim=4)
    with pytest.raises(ValueError, match='layers must lie between 1 and 2'):
        MMRL(random_clip)


def test_context_tokens_that_do_not_fit_are_refused(random_clip):
    with pytest.raises(ValueError, match='n_ctx=0'):
        CoOp(random_clip, n_ctx=0)
    with pytest.raises(ValueError, match='depth_text must lie between 1 and 2'):
        IVLP(random_clip, depth_text=9)


@pytest.mark.parametrize('kind', [IVLP, PromptSRC, MaPLe])
def test_more_context_tokens_than_initial_words_start_at_random(random_clip, kind):
    depths = dict(depth=1) if kind is MaPLe else dict(depth_text=1, depth_vision=1)
    contexts = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        tuner = kind(random_clip, n_ctx=5, ctx_init='a photo of a', **depths)
        assert tuner.ctx.shape[0] == 5
        contexts.append(tuner.ctx.detach())
    assert not torch.equal(*contexts)
    assert contexts[0].std().item() == pytest.approx(0.02, rel=0.3)
    tuner.set_class_names(['cat', 'dog'])
    assert tuner.encode_text()['feature'].shape == (2, random_clip.embed_dim)


@pytest.mark.parametrize('kind', [KgCoOp, TCP, ProGrad, MMRL])
def test_only_kgcoop_and_tcp_have_a_teacher_of_their_own_on_textures(random_clip, kind):
    options = {TCP: dict(layer=1), MMRL: dict(layers=[2], rep_dim=4)}.get(kind, {})
    tuner = kind(random_clip, **options)
    tuner.set_class_names(['banded'], dataset_name='DescribableTextures')
    own = kind in (KgCoOp, TCP)
    prompt = 'a photo of a banded, a type of texture.' if own else 'banded texture.'
    torch.testing.assert_close(tuner.clip_text, random_clip.encode_text([prompt]))
    tuner.set_class_names(['rose'], dataset_name='OxfordFlowers')
    expected = random_clip.encode_text(['a photo of a rose, a type of flower.'])
    torch.testing.assert_close(tuner.clip_text, expected)


@pytest.mark.parametrize(
    'build, expected',
    [
        (lambda clip: _sized('IVLP')(clip), 23_040),
        (lambda clip: _sized('PromptSRC')(clip), 46_080),
        (lambda clip: _sized('MaPLe')(clip), 3_555_072),
        (lambda clip: _sized('MMRL')(clip), 4_992_256),
        (lambda clip: _sized('CoCoOp')(clip), 35_360),
        (lambda clip: _sized('CoOp')(clip), 2_048),
    ],
)
def test_parameter_counts_at_vit_b_16(build, expected):
    clip = torch.nn.Module()
    clip.text_width, clip.vision_width, clip.embed_dim, clip.text_layers, clip.vision_layers = (
        512,
        768,
        512,
        12,
        12,
    )
    clip.image_projection = torch.zeros(768, 512)
    clip.tokenize = lambda texts: [[0, 1, 2, 3, 4, 5]] * len(texts)
    clip.embed_tokens = lambda ids: torch.zeros(len(ids), 512)
    assert sum(p.numel() for p in build(clip).parameters()) == expected


def _sized(name):
    from fvgpt import tuners

    return getattr(tuners, name)
