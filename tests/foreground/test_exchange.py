"""FVGPT with student_view='exchange' and foreground_ce: losses by their formula, views, errors."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fvgpt.foreground import FVGPT
from fvgpt.tuners import MMRL, CoOp, FrozenFeatures, PromptTuner, ViewFeatures
from fvgpt.tuners.classifier import CLIPDataPreprocessor, clip_preprocessor

from .test_fvgpt import BASE, NEW, batch, build, group, same, train

VIEWS = ('full', 'foreground', 'exchanged')


class GivenFeatures(PromptTuner):
    """A tuner in double precision, whose text features are given."""

    logits_are_cosine = True

    def __init__(self, text):
        clip = nn.Module()
        clip.embed_dim, clip.logit_scale, clip.device = text.shape[1], 100.0, text.device
        super().__init__(clip)
        self.text = text

    def _build_classes(self, class_names):
        pass

    def encode_text(self):
        return dict(feature=self.text)

    def logits(self, image, text, branch='base'):
        return 100 * unit(image['feature']) @ unit(text['feature']).T


def unit(rows):
    return rows / rows.norm(dim=-1, keepdim=True)


def softmax(z, tau=1.0):
    e = [math.exp((v - max(z)) / tau) for v in z]
    return [v / sum(e) for v in e]


def slow_terms(model, features, text, labels, lambda_d, tau):
    """The terms of L_base image by image, from point to point of the formula."""

    def adapted(adapter, row):
        hidden = (adapter.down.weight @ row + adapter.down.bias).clamp(min=0)
        return unit(row + adapter.up.weight @ hidden + adapter.up.bias)

    fdc = model.compensation
    g = [adapted(fdc.adapter_text, row) for row in text]
    z_full = [[100 * float(unit(f) @ unit(t)) for t in text] for f in features['full']]
    z = {
        view: [[100 * (adapted(fdc.adapter_image, f) @ t).item() for t in g] for f in rows]
        for view, rows in features.items()
    }

    def ce(rows):
        return -sum(math.log(softmax(r)[y]) for r, y in zip(rows, labels)) / len(rows)

    def kl(rows):
        total = 0.0
        for teacher, student in zip(z_full, rows):
            p, q = softmax(teacher, tau), softmax(student, tau)
            total += sum(a * math.log(a / b) for a, b in zip(p, q))
        return lambda_d * total / len(rows)

    return dict(
        loss_fdc=(ce(z['full']) + ce(z['exchanged'])) / 2,
        loss_distill=(kl(z['full']) + kl(z['exchanged'])) / 2,
        ce_fg=ce(z['foreground']),
    )


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 2**31),
    st.integers(1, 5),
    st.integers(2, 4),
    st.floats(0.1, 50),
    st.floats(1, 4),
    st.sampled_from([0.0, 1.0, 2.5]),
)
def test_the_loss_is_the_formula(seed, count, classes, lambda_d, tau, weight):
    torch.manual_seed(seed)
    text = torch.randn(classes, 6, dtype=torch.float64) * 0.3 + 1
    rows = {view: torch.randn(count, 6, dtype=torch.float64) * 0.3 + 1 for view in VIEWS}
    labels = torch.randint(classes, (count,))
    model = FVGPT(
        GivenFeatures(text),
        student_view='exchange',
        foreground_ce=weight,
        calibration=None,
        compensation=dict(residual_init='small_weight', init_scale=0.1),
        distillation_loss=dict(loss_weight=lambda_d, temperature=tau),
    ).double()
    views = {view: ViewFeatures(clip=value) for view, value in rows.items()}
    terms = model.base_losses(model.signals(FrozenFeatures(**views)), labels)
    expected = slow_terms(model, rows, text, labels.tolist(), lambda_d, tau)
    assert {key for key in terms if 'loss' in key} == {'loss_fdc', 'loss_distill'} | (
        {'loss_fdc_fg'} if weight else set()
    )
    if weight:
        assert terms['loss_fdc_fg'].item() == pytest.approx(weight * expected['ce_fg'])
    for key in ('loss_fdc', 'loss_distill'):
        assert terms[key].item() == pytest.approx(expected[key], rel=1e-9, abs=1e-12)


# ------------------------------------------------------------------ views
def with_exchanged(seed, with_masks=True):
    images, samples = batch(seed, with_masks)
    for sample, image in zip(samples, images.flip(-1)):
        sample.set_field(image, 'exchanged', dtype=torch.Tensor)
    return images, samples


TUNERS = dict(
    coop=lambda clip: CoOp(clip, n_ctx=2),
    mmrl=lambda clip: MMRL(clip, layers=[1, 2], rep_dim=8),
)


@pytest.fixture(params=sorted(TUNERS))
def tuner(request, random_clip):
    torch.manual_seed(2)
    return TUNERS[request.param](random_clip)


@pytest.mark.parametrize(
    'options, views',
    [
        (dict(), 2),
        (dict(foreground_ce=1.0), 2),
        (dict(student_view='exchange'), 2),
        (dict(student_view='exchange', foreground_ce=1.0), 3),
    ],
)
def test_the_tower_sees_all_views_in_one_batch(tuner, options, views, monkeypatch):
    model, sizes = build(tuner, calibration=None, **options), []
    encode = tuner.encode_image
    monkeypatch.setattr(
        tuner, 'encode_image', lambda images: sizes.append(len(images)) or encode(images)
    )
    encode_clip = tuner.clip.encode_image
    if tuner.image_tower_is_clip:
        monkeypatch.setattr(
            tuner.clip, 'encode_image', lambda x: sizes.append(len(x)) or encode_clip(x)
        )
    model(*with_exchanged(0), mode='loss')
    assert sizes == [4 * views]


def test_every_view_is_encoded_as_if_alone(tuner):
    model = build(tuner, student_view='exchange', foreground_ce=1.0).eval()
    images, samples = with_exchanged(0)
    masks = torch.stack([sample.mask for sample in samples])[:, None].float()
    together = model.signals(model.extract_for(images, samples))
    for view, alone in (
        ('full', images),
        ('foreground', model.foreground_view(images, masks)),
        ('exchanged', images.flip(-1)),
    ):
        expected = model.signals(model.extract_feat(alone)).full['feature']
        torch.testing.assert_close(
            getattr(together, view)['feature'], expected, atol=1e-5, rtol=1e-5
        )


def test_exchange_with_the_image_itself_is_distillation_from_the_full_view(tuner):
    images, samples = batch(0)
    for sample, image in zip(samples, images):
        sample.set_field(image, 'exchanged', dtype=torch.Tensor)
    small = dict(residual_init='small_weight', init_scale=0.1)
    plain = build(tuner, reliability_gate=None, fixed_trust=0.0, compensation=small)
    expected = plain(images, samples, mode='loss')
    terms = build(tuner, student_view='exchange', compensation=small)(images, samples, mode='loss')
    for key, value in terms.items():
        torch.testing.assert_close(value, expected[key], atol=1e-4, rtol=1e-4)


def test_exchange_needs_no_masks_trains_no_gate_and_leaves_the_new_branch(tuner):
    plain, model = build(tuner), build(tuner, student_view='exchange')
    train(plain)
    assert model.reliability_gate is None and not model.needs_masks
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    for step in range(4):
        terms = model(*with_exchanged(step, with_masks=False), mode='loss')
        optimizer.zero_grad()
        sum(value for key, value in terms.items() if 'loss' in key).backward()
        optimizer.step()
    assert 'trust_foreground' not in terms
    assert same(group(model, 'calibration'), group(plain, 'calibration'))
    model.eval().set_class_names(NEW, 'new')
    assert model(batch(0)[0]).shape == (4, 2)  # tests need the plain image only


def test_the_foreground_ce_reaches_the_adapters_only(tuner):
    model = build(tuner, foreground_ce=1.0)
    terms = model(*batch(0), mode='loss')
    terms['loss_fdc_fg'].backward()
    assert all(parameter.grad is None for parameter in model.reliability_gate.parameters())
    assert model.compensation.adapter_image.up.weight.grad.any()
    assert terms.keys() - build(tuner)(*batch(0), mode='loss').keys() == {'loss_fdc_fg'}


def test_cached_features_differ_by_the_views_that_are_read(tuner):
    keys = [
        build(tuner, **options).cache_key(training)
        for options in (
            dict(),
            dict(student_view='exchange'),
            dict(student_view='exchange', foreground_ce=1.0),
            dict(student_view='exchange', foreground_ce=1.0, fg_fill='black'),
        )
        for training in (True, False)
    ]
    assert len(set(keys[::2])) == 4 and len(set(keys[1::2])) == 1


# ------------------------------------------------------------------ preprocessing and errors
def test_the_exchanged_view_is_normalised_like_the_image():
    images = [torch.randint(256, (3, 8, 8), dtype=torch.uint8) for _ in range(4)]
    _, samples = batch(0)
    for sample, image in zip(samples, images):
        sample.set_field(image, 'exchanged', dtype=torch.Tensor)
    settings_ = {k: v for k, v in clip_preprocessor().items() if k != 'type'}
    data = CLIPDataPreprocessor(**settings_)(dict(inputs=images, data_samples=samples), True)
    for image, sample in zip(data['inputs'], data['data_samples']):
        assert torch.equal(image, sample.exchanged) and sample.exchanged.is_floating_point()


def test_missing_raw_and_misplaced_views_are_named(tuner):
    model = build(tuner, student_view='exchange')
    images, samples = batch(0)
    with pytest.raises(ValueError, match='PasteForeground'):
        model(images, samples, mode='loss')
    with pytest.raises(ValueError, match='PasteForeground'):
        model(model.extract_feat(images), samples, mode='loss')
    images, samples = with_exchanged(0)
    with pytest.raises(ValueError, match='behind the transforms'):
        model(images[..., :24], samples, mode='loss')
    for sample in samples:
        sample.set_field(sample.exchanged.to(torch.uint8), 'exchanged', dtype=torch.Tensor)
    with pytest.raises(ValueError, match='CLIPDataPreprocessor'):
        model(images, samples, mode='loss')


@pytest.mark.parametrize('settings_', [dict(student_view='both'), dict(foreground_ce=-1.0)])
def test_bad_settings_name_the_key(tuner, settings_):
    with pytest.raises(ValueError, match=next(iter(settings_))):
        build(tuner, **settings_)


def test_without_fdc_there_is_nothing_that_reads_the_views(tuner):
    model = build(tuner, student_view='exchange', foreground_ce=1.0, compensation=None)
    assert set(model(*batch(0, with_masks=False), mode='loss')) == {'loss_prior', 'trust_clip'}
    assert model.class_names == BASE
