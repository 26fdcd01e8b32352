"""fdc_logits='residual' starts at the logits of every tuner; warnings of adapters in training."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from fvgpt.foreground import ForegroundDistillationCompensation
from fvgpt.inference.exported import reads_tuner_logits
from fvgpt.tuners import CoOp

from ..tuners.test_tuners import BUILDERS
from .test_fvgpt import NEW, batch, build

RESIDUAL = dict(fdc_logits='residual')
SMALL = dict(residual_init='small_weight', init_scale=0.1)


@pytest.mark.parametrize('name', sorted(BUILDERS))
def test_training_starts_at_the_logits_of_every_tuner(name, random_clip):
    torch.manual_seed(1)
    model = build(BUILDERS[name](random_clip), compensation=RESIDUAL).eval()
    images, samples = batch(0)
    scores = model.logits_by_source(images)
    assert torch.equal(scores['fvgpt'], scores['tuner'])
    first = model(images, samples, mode='loss')
    labels = torch.tensor([i % 3 for i in range(4)])
    torch.testing.assert_close(first['loss_fdc'], F.cross_entropy(scores['tuner'], labels))
    if not model.tuner.logits_are_cosine and name != 'cocoop':
        plain = build(model.tuner).eval().logits_by_source(images)
        assert not torch.allclose(plain['fvgpt'], plain['tuner'], atol=1e-3)


@pytest.mark.parametrize('name', ['mmrl', 'tip_adapter'])
def test_without_pc_new_classes_start_at_the_tuners_rule_for_them(name, random_clip):
    torch.manual_seed(1)
    model = build(BUILDERS[name](random_clip), compensation=RESIDUAL, calibration=None).eval()
    model.set_trained_classes(model.class_names)
    model.set_class_names(NEW, 'new')
    scores = model.logits_by_source(batch(0)[0])
    assert torch.equal(scores['fvgpt'], scores['tuner'])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(['raw', 'unit']), st.integers(1, 4))
def test_the_residual_form_is_the_formula(seed, adapter_input, count):
    torch.manual_seed(seed)
    f, g, z = (torch.randn(*size, dtype=torch.float64) for size in ((count, 6), (3, 6), (count, 3)))
    options = dict(SMALL, adapter_input=adapter_input)
    paper = ForegroundDistillationCompensation(6, 4, **options).double()
    form = ForegroundDistillationCompensation(6, 4, **options, **RESIDUAL).double()
    form.load_state_dict(paper.state_dict())
    result, cosine = form(f, g, z), paper(f, g)
    for i in range(count):
        for c in range(3):
            before = 100 * float(f[i] @ g[c] / f[i].norm() / g[c].norm())
            expected = float(z[i, c]) + float(cosine[i, c].detach()) - before
            assert result[i, c].item() == pytest.approx(expected, abs=1e-10)


def test_on_cosine_logits_both_forms_are_the_same_function(random_clip):
    torch.manual_seed(1)
    tuner = CoOp(random_clip, n_ctx=2)
    images, _ = batch(0)
    paper, form = (build(tuner, compensation={**SMALL, **o}).eval() for o in ({}, RESIDUAL))
    torch.testing.assert_close(form(images), paper(images), atol=1e-3, rtol=1e-5)


def test_an_export_lists_no_formula_that_lacks_the_tuners_own_logits(random_clip):
    torch.manual_seed(1)
    tuner = BUILDERS['tip_adapter'](random_clip)
    assert reads_tuner_logits(build(tuner, compensation=RESIDUAL), 'fdc')
    assert not reads_tuner_logits(build(tuner), 'fdc')
    assert reads_tuner_logits(build(tuner), 'tuner')


# ------------------------------------------------------------------ warnings
@pytest.fixture
def warnings(monkeypatch):
    found = []
    monkeypatch.setattr(
        'fvgpt.foreground.adapter_watch.print_log', lambda text, *args: found.append(text)
    )
    return found


@pytest.mark.parametrize('side', ['image', 'text'])
def test_a_residual_longer_than_the_feature_is_reported_once(random_clip, warnings, side):
    torch.manual_seed(1)
    model = build(CoOp(random_clip, n_ctx=2))
    model(*batch(0), mode='loss')
    assert not warnings
    adapter = getattr(model.compensation, f'adapter_{side}')
    with torch.no_grad():
        adapter.up.bias.fill_(1e3)
    for step in range(3):
        model(*batch(step), mode='loss')
    (text,) = warnings
    assert f"FDC's {side} adapter" in text
    assert 'optim_wrapper.clip_grad' in text and 'loss_weight' in text


class UnitImages(CoOp):
    """A tuner that normalises its image features."""

    def adapt_image(self, clip_feature):
        return dict(feature=F.normalize(clip_feature, dim=-1))


def test_unit_features_under_raw_input_are_reported_once(random_clip, warnings):
    torch.manual_seed(1)
    model = build(UnitImages(random_clip, n_ctx=2))
    for step in range(3):
        model(*batch(step), mode='loss')
    (text,) = warnings
    assert 'image features have unit length' in text and 'before their normalisation' in text
    warnings.clear()
    unit = build(UnitImages(random_clip, n_ctx=2), compensation=dict(adapter_input='unit'))
    unit(*batch(0), mode='loss')
    assert not warnings


def test_an_unknown_form_is_named():
    with pytest.raises(ValueError, match='fdc_logits'):
        ForegroundDistillationCompensation(6, fdc_logits='sum')
