"""Properties of all tuners."""

import pytest
import torch

from fvgpt.foreground import FVGPT
from fvgpt.tuners import (
    IVLP,
    MMRL,
    TCP,
    CLIPAdapter,
    CoCoOp,
    CoOp,
    KgCoOp,
    LinearText,
    MaPLe,
    ProGrad,
    PromptSRC,
    TaskRes,
    TipAdapter,
    ZeroShotCLIP,
)

from ..foreground.test_fvgpt import batch, build, group, same, train

NAMES = ['cat', 'golden_retriever', 'yellow-crested cockatoo']
BUILDERS = {
    'zero_shot': lambda clip: ZeroShotCLIP(clip),
    'coop': lambda clip: CoOp(clip, n_ctx=4),
    'coop_words': lambda clip: CoOp(clip, ctx_init='a photo of a'),
    'coop_middle': lambda clip: CoOp(clip, n_ctx=3, class_token_position='middle'),
    'coop_front': lambda clip: CoOp(clip, n_ctx=2, class_token_position='front'),
    'kgcoop': lambda clip: KgCoOp(clip),
    'prograd': lambda clip: ProGrad(clip),
    'tcp': lambda clip: TCP(clip, layer=1),
    'cocoop': lambda clip: CoCoOp(clip),
    'ivlp': lambda clip: IVLP(clip, depth_text=2, depth_vision=2),
    'maple': lambda clip: MaPLe(clip, depth=2),
    'promptsrc': lambda clip: PromptSRC(clip, depth_text=2, depth_vision=2),
    'mmrl': lambda clip: MMRL(clip, layers=[1, 2], rep_dim=8),
    'clip_adapter': lambda clip: CLIPAdapter(clip),
    'linear_text': lambda clip: LinearText(clip),
    'taskres': lambda clip: trained_on_names(TaskRes(clip, num_classes=3)),
    'tip_adapter': lambda clip: filled(TipAdapter(clip, cache_size=4)),
}
IMAGE_CONDITIONED = 'cocoop'


def filled(tip):
    tip.fill_cache(
        torch.randn(4, tip.clip.embed_dim, generator=torch.Generator().manual_seed(5)),
        torch.tensor([0, 1, 1, 0]),
    )
    return tip


def trained_on_names(tuner):
    tuner.set_trained_classes(NAMES)
    return tuner


@pytest.fixture(params=sorted(BUILDERS))
def tuner(request, random_clip):
    torch.manual_seed(1)
    return BUILDERS[request.param](random_clip).eval()


@pytest.mark.parametrize('name', sorted(set(BUILDERS) - {'zero_shot'}))
def test_fvgpt_works_on_every_tuner(name, random_clip):
    torch.manual_seed(1)
    tuner = BUILDERS[name](random_clip)
    model = build(tuner)
    before = group(model, 'tuner')
    history = train(model, steps=2)
    assert all(torch.isfinite(torch.tensor(list(terms.values()))).all() for terms in history)
    assert same(before, group(model, 'tuner'))
    images, _ = batch(0)
    model.eval()
    for branch, names in (('base', NAMES), ('new', ['St. Bernard', 'Yo_Yo'])):
        model.set_class_names(names, branch)
        assert model(images).shape == (4, len(names))
    assert isinstance(model, FVGPT)


@pytest.mark.parametrize('name', sorted(set(BUILDERS) - {'zero_shot'}))
def test_tuning_changes_the_tuner_and_not_clip(name, random_clip):
    torch.manual_seed(1)
    tuner = BUILDERS[name](random_clip)
    tuner.set_class_names(NAMES)
    weights, before = random_clip.weight_hash, {k: v.clone() for k, v in tuner.state_dict().items()}
    history = train(tuner, steps=3)
    assert all(torch.isfinite(torch.tensor(list(terms.values()))).all() for terms in history)
    changed = {k for k, v in tuner.state_dict().items() if not torch.equal(v, before[k])}
    assert changed >= {k for k, _ in tuner.named_parameters()} - {'adapter.0.weight'}
    del random_clip.__dict__['weight_hash']
    assert random_clip.weight_hash == weights


def test_class_names_change_and_parameters_stay(tuner):
    images = torch.randn(2, 3, 32, 32)
    before = {k: v.clone() for k, v in tuner.state_dict().items()}
    tuner.set_class_names(NAMES)
    first = tuner(images).clone()
    assert first.shape == (2, 3)
    tuner.set_class_names(['dog', 'café table'], 'new')
    assert tuner(images).shape == (2, 2)
    tuner.set_class_names(NAMES)
    assert torch.equal(tuner(images), first)
    assert all(torch.equal(v, before[k]) for k, v in tuner.state_dict().items())


def test_the_logit_of_a_class_does_not_depend_on_other_classes(tuner):
    images = torch.randn(2, 3, 32, 32)
    tuner.set_class_names(NAMES)
    tuner.set_trained_classes(NAMES)
    together = tuner(images)
    for names in (NAMES[1:2], NAMES[::-1], ['bus', NAMES[1]]):
        tuner.set_class_names(names)
        torch.testing.assert_close(
            tuner(images)[:, names.index(NAMES[1])], together[:, 1], atol=1e-5, rtol=1e-5
        )


def test_text_is_encoded_once_per_weight_version(tuner, monkeypatch):
    tuner.set_class_names(NAMES)
    calls = []
    encode = tuner.encode_text
    monkeypatch.setattr(tuner, 'encode_text', lambda: calls.append(1) or encode())
    images = torch.randn(1, 3, 32, 32)
    for _ in range(3):
        tuner(images)
    assert len(calls) == 1
    for parameter in tuner.parameters():
        with torch.no_grad():
            parameter.add_(1)
        tuner(images)
    assert len(calls) == 1 + len(list(tuner.parameters()))


def test_predictions_are_data_samples(tuner):
    tuner.set_class_names(NAMES)
    samples = tuner(torch.randn(2, 3, 32, 32), mode='predict')
    for sample in samples:
        assert sample.pred_score.sum().item() == pytest.approx(1, abs=1e-5)
        assert sample.pred_label.item() == sample.pred_score.argmax().item()
        assert torch.equal(sample.get(f'{tuner.source}_score'), sample.pred_score)


def test_names_that_are_missing_or_too_long_are_errors(tuner):
    with pytest.raises(RuntimeError, match='has no class names yet'):
        tuner(torch.randn(1, 3, 32, 32))
    with pytest.raises(ValueError, match='at most 77'):
        tuner.set_class_names(['cat', 'very ' * 80 + 'long'])
    with pytest.raises(ValueError, match='branch must be'):
        tuner.set_class_names(NAMES, 'old')


def test_a_loss_without_labels_is_an_error(tuner):
    tuner.set_class_names(NAMES)
    with pytest.raises(ValueError, match='needs data_samples'):
        tuner(torch.randn(1, 3, 32, 32), mode='loss')


def test_parameter_count_of_coop_at_vit_b_16():
    from types import SimpleNamespace

    clip = torch.nn.Module()
    clip.text_width, clip.tokenize = 512, None
    tuner = CoOp(clip, n_ctx=4)
    assert sum(p.numel() for p in tuner.parameters()) == 2048
    assert SimpleNamespace(**dict(tuner.named_parameters())).ctx.shape == (4, 512)


def test_class_specific_context_is_bound_to_its_classes(random_clip):
    tuner = CoOp(random_clip, n_ctx=2, class_specific=True, num_classes=3)
    tuner.set_class_names(NAMES)
    assert tuner.ctx.shape[0] == 3
    with pytest.raises(ValueError, match='cannot take 2 others'):
        tuner.set_class_names(['dog', 'cow'])
    with pytest.raises(ValueError, match='needs num_classes'):
        CoOp(random_clip, class_specific=True)


@pytest.mark.parametrize(
    'settings, message',
    [(dict(class_token_position='top'), 'class_token_position'), (dict(n_ctx=0), 'n_ctx')],
)
def test_bad_settings_name_the_key(random_clip, settings, message):
    with pytest.raises(ValueError, match=message):
        CoOp(random_clip, **settings)


def test_the_open_world_uses_the_rule_of_each_class(tuner):
    """Trained classes get the base rule's logits, others the new rule's, in any class order."""
    images, new = torch.randn(2, 3, 32, 32), ['St. Bernard', 'Yo_Yo']
    with torch.no_grad():
        tuner.set_class_names(NAMES)
        base = tuner(images)
        tuner.set_class_names(new, 'new')
        others = tuner(images)
        tuner.set_class_names([new[0], *NAMES, new[1]], 'open')
        if isinstance(tuner, (MMRL, TipAdapter)):
            with pytest.raises(RuntimeError, match='does not know which classes it was trained on'):
                tuner(images)
        tuner.set_trained_classes(NAMES)
        mixed = tuner(images)
    torch.testing.assert_close(
        mixed, torch.cat([others[:, :1], base, others[:, 1:]], 1), atol=1e-5, rtol=1e-5
    )
