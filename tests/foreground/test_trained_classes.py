"""FVG-PT may be trained on other classes, or in another order, than the tuner below it."""

import pytest
import torch

from fvgpt.foreground import FVGPT
from fvgpt.tuners import CoOp, PromptTuner, TipAdapter
from fvgpt.tuners.checkpoint import load_tuner
from fvgpt.tuners.provenance import PROVENANCE, Provenance

NAMES = ['cat', 'dog', 'bus', 'tree']


@pytest.fixture
def tip(random_clip):
    torch.manual_seed(0)
    tuner = TipAdapter(random_clip, cache_size=4).set_class_names(NAMES)
    tuner.fill_cache(torch.randn(4, random_clip.embed_dim), torch.arange(4))
    tuner.set_trained_classes(NAMES)
    return tuner.eval()


@pytest.mark.parametrize('names', [NAMES[::-1], NAMES[1:3]])
def test_the_tuner_keeps_the_classes_of_its_own_training(tip, names):
    images = torch.randn(2, 3, 32, 32)
    expected = tip(images)[:, [NAMES.index(name) for name in names]]
    model = FVGPT(tip).set_class_names(names).eval()
    model.set_trained_classes(names)
    torch.testing.assert_close(model.logits_by_source(images)['tuner'], expected)
    assert model.trained_class_names == tuple(names)


def test_both_lists_are_in_the_checkpoint(tip, random_clip, tmp_path):
    model = FVGPT(tip).set_class_names(NAMES[::-1])
    model.set_trained_classes(NAMES[::-1])
    recorded = Provenance.of_model(model).to_dict()
    assert recorded['class_names'] == NAMES[::-1] and recorded['tuner_class_names'] == NAMES
    state = model.state_dict()
    torch.save(dict(meta={PROVENANCE: recorded}, state_dict=state), tmp_path / 'fvgpt.pth')
    other = TipAdapter(random_clip, cache_size=4)
    load_tuner(other, str(tmp_path / 'fvgpt.pth'))
    assert other.trained_class_names == tuple(NAMES)
    again = FVGPT(TipAdapter(random_clip, cache_size=4))
    Provenance.from_dict(recorded).set_trained_classes(again)
    assert again.trained_class_names == tuple(NAMES[::-1])
    assert again.tuner.trained_class_names == tuple(NAMES)


def test_equal_lists_are_recorded_once(random_clip):
    model = FVGPT(CoOp(random_clip, n_ctx=2)).set_class_names(NAMES)
    model.set_trained_classes(NAMES)
    assert 'tuner_class_names' not in Provenance.of_model(model).to_dict()


def test_class_names_are_known_while_the_classes_are_built(random_clip):
    seen = []

    class Watching(PromptTuner):
        def _build_classes(self, class_names):
            seen.append((list(self.class_names), self.trained_columns().tolist()))
            if 'bad' in class_names:
                raise ValueError('no such class')

        def encode_text(self):
            return dict(feature=torch.zeros(len(self.class_names), self.clip.embed_dim))

    tuner = Watching(random_clip)
    tuner.set_trained_classes(NAMES)
    tuner.set_class_names(['dog', 'car'])
    assert seen == [(['dog', 'car'], [1, -1])]
    with pytest.raises(ValueError, match='no such class'):
        tuner.set_class_names(['bad'])
    assert tuner.class_names == ['dog', 'car']


def test_text_features_follow_the_trained_classes(random_clip):
    class Rows(CoOp):
        def encode_text(self):
            shift = self.trained_columns()[:, None].float()
            return dict(feature=super().encode_text()['feature'] + shift)

    tuner = Rows(random_clip, n_ctx=2).set_class_names(NAMES)
    tuner.set_trained_classes(NAMES)
    first = tuner.cached_text()['feature']
    tuner.set_trained_classes(NAMES[::-1])
    assert not torch.equal(first, tuner.cached_text()['feature'])


def test_an_empty_config_of_a_module_means_its_defaults(random_clip):
    model = FVGPT(CoOp(random_clip, n_ctx=2), compensation={}, reliability_gate={}, calibration={})
    assert None not in (model.compensation, model.reliability_gate, model.calibration)
