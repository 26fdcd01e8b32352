"""Signals: every quantity is derived once, only when it is read, and stored in no other form."""

import pytest
import torch

from fvgpt.engine.cached_features import flatten, restore
from fvgpt.foreground import FVGPT, beside_the_tuner
from fvgpt.tuners import MMRL, CoOp, PromptTuner, ZeroShotCLIP

from .test_fvgpt import BASE, NEW, batch, build

TUNERS = dict(
    coop=lambda clip: CoOp(clip, n_ctx=2),
    mmrl=lambda clip: MMRL(clip, layers=[1, 2], rep_dim=8),
)


def masks_of(samples):
    return torch.stack([sample.mask for sample in samples])[:, None].float()


@pytest.fixture(params=sorted(TUNERS))
def model(request, random_clip):
    torch.manual_seed(0)
    model = build(TUNERS[request.param](random_clip)).eval()
    model.set_trained_classes(BASE)
    return model


def test_signals_agree_with_the_predictions_of_every_branch(model):
    images, samples = batch(0)
    frozen = model.extract_feat(images, masks_of(samples))
    for branch, names in (('base', BASE), ('new', NEW), ('open', [*NEW, *BASE])):
        model.set_class_names(names, branch)
        predicted, signals = model.logits_by_source(images), model.signals(frozen)
        for source, z in dict(
            zero_shot=signals.z_clip,
            tuner=signals.z_tuner(branch),
            fvgpt=signals.z_fvgpt(branch),
        ).items():
            torch.testing.assert_close(z, predicted[source], rtol=1e-5, atol=1e-5)


def test_the_trust_scores_are_those_of_training(model):
    images, samples = batch(0)
    signals = model.signals(model.extract_feat(images, masks_of(samples)))
    terms = model(images, samples, mode='loss')
    assert terms['trust_foreground'].item() == pytest.approx(signals.r.mean().item(), abs=1e-6)
    assert terms['trust_clip'].item() == pytest.approx(signals.b.mean().item(), abs=1e-6)


def test_a_prediction_computes_no_more_than_it_needs(model):
    images, _ = batch(0)
    signals = model.signals(model.extract_feat(images, original=False))
    signals.by_source('base', compare=False)
    assert 'z_fdc' in vars(signals)
    assert not {'z_fg', 'z_clip', 'z_main', 'calibrated'} & set(vars(signals))


def test_stored_features_are_restored_as_they_were(model):
    images, samples = batch(0)
    with_masks = model.extract_feat(images, masks_of(samples))
    exchanged = with_masks._replace(exchanged=with_masks.foreground)
    for frozen in (model.extract_feat(images), with_masks, exchanged):
        again = restore(flatten(frozen))
        assert flatten(again).keys() == flatten(frozen).keys()
        for field in frozen._fields:
            assert (getattr(again, field) is None) == (getattr(frozen, field) is None)
        assert again.full.tuned.keys() == frozen.full.tuned.keys()
        for key, value in flatten(frozen).items():
            assert torch.equal(flatten(again)[key], value)


def test_the_tuner_alone_has_signals_too(random_clip):
    tuner = CoOp(random_clip, n_ctx=2).set_class_names(BASE)
    bare = beside_the_tuner(tuner).set_class_names(BASE).eval()
    images, _ = batch(0)
    signals = bare.signals(bare.extract_feat(images))
    assert isinstance(bare, FVGPT) and beside_the_tuner(bare) is bare
    assert torch.equal(signals.z_fvgpt('base'), tuner(images))
    expected = ZeroShotCLIP(random_clip).set_class_names(BASE)(images)
    torch.testing.assert_close(signals.z_clip, expected)


def test_a_tuner_that_changes_the_logits_has_to_say_so():
    def logits(self, image, text, branch='base'):
        return image['feature'] @ text['feature'].T

    with pytest.raises(TypeError, match='set logits_are_cosine = False'):
        type('Silent', (PromptTuner,), dict(logits=logits))
    type('Frank', (PromptTuner,), dict(logits=logits, logits_are_cosine=False))
