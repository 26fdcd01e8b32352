"""One pass over the data: predictions equal evaluation's, masks are counted, formulas hold."""

import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample

from fvgpt.analysis import Column, Observer
from fvgpt.analysis.collect import spread
from fvgpt.analysis.summary import column_summary, overview
from fvgpt.foreground import FVGPT
from fvgpt.losses import tempered_kl
from fvgpt.tuners import IVLP, MMRL, CLIPAdapter, CoCoOp, CoOp, TipAdapter

NAMES = ['cat', 'dog', 'red star']
TUNERS = {
    'coop': lambda clip: CoOp(clip, n_ctx=2),
    'mmrl': lambda clip: MMRL(clip, layers=[1, 2], rep_dim=8),
    'ivlp': lambda clip: IVLP(clip, depth_text=2, depth_vision=2),
    'cocoop': lambda clip: CoCoOp(clip),
    'clip_adapter': lambda clip: CLIPAdapter(clip),
    'tip_adapter': lambda clip: filled(TipAdapter(clip, cache_size=3)),
}


def filled(tip):
    tip.fill_cache(
        torch.randn(3, tip.clip.embed_dim, generator=torch.Generator().manual_seed(5)),
        torch.arange(3),
    )
    return tip


class Images:
    """Noise images with masks: of every four, the third mask is missing and the fourth is empty."""

    def __init__(self, branch='base', count=8, with_masks=True):
        self.metainfo = dict(
            classes=NAMES, branch=branch, subset='all' if branch == 'open' else branch
        )
        self.count, self.with_masks = count, with_masks

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(int(index))
        paths = (
            dict(mask_path=None if index % 4 == 2 else f'{index}.png') if self.with_masks else {}
        )
        sample = DataSample(metainfo=dict(paths, img_path=f'{index}.png'))
        sample.set_gt_label(int(index) % 3)
        mask = np.ones((32, 32), np.uint8) if index % 4 == 2 else np.zeros((32, 32), np.uint8)
        if index % 4 < 2:
            mask[4:20, index : index + 16] = 1
        if self.with_masks:
            sample.set_mask(mask)
        return dict(
            inputs=torch.randint(0, 255, (3, 32, 32), generator=generator, dtype=torch.uint8),
            data_samples=sample,
        )


def fvgpt(tuner):
    torch.manual_seed(3)
    compensation = dict(
        type='ForegroundDistillationCompensation', residual_init='small_weight', init_scale=0.1
    )
    model = FVGPT(tuner, compensation=compensation)
    model.set_class_names(NAMES)
    model.set_trained_classes(NAMES)
    return model


@pytest.fixture(params=sorted(TUNERS))
def model(request, random_clip):
    torch.manual_seed(1)
    return fvgpt(TUNERS[request.param](random_clip))


@pytest.mark.parametrize('branch', ['base', 'new', 'open'])
def test_predictions_are_those_of_evaluation(model, branch):
    """For every tuner, with its own image tower or CLIP's, whatever else is recorded."""
    observer, dataset = Observer(model), Images(branch)
    column = observer.collect(dataset)
    images, labels, masks, _ = observer.load([dataset[i] for i in range(8)])
    expected = model.logits_by_source(images)
    foreground = model.logits_by_source(model.foreground_view(images, masks))
    usable = np.array([True, True, False, False] * 2)
    for source in ('zero_shot', 'tuner', 'fvgpt'):
        p = expected[source].softmax(-1)
        np.testing.assert_allclose(
            column.values[f'{source}/confidence'], p.max(-1).values, atol=1e-4
        )
        np.testing.assert_allclose(
            column.values[f'{source}/p_true'], p[range(8), labels], atol=1e-4
        )
        assert (column.correct(source) == (p.argmax(-1) == labels).numpy()).all()
        shift = tempered_kl(expected[source], foreground[source], 2.0).numpy()
        np.testing.assert_allclose(
            column.values[f'{source}/shift'][usable], shift[usable], atol=1e-3
        )
        assert np.isnan(column.values[f'{source}/shift'][~usable]).all()
        for name in ('rollout', 'gradcam'):
            share = column.values[f'{source}/{name}'][usable]
            assert ((share >= 0) & (share <= 1) | np.isnan(share)).all() and np.isfinite(
                share
            ).any()
    same = column.values['zero_shot/rollout'][usable] == column.values['tuner/rollout'][usable]
    assert same.all() == model.tuner.image_tower_is_clip
    assert ('r' in column.values) == (branch == 'base') and 'b' in column.values


@pytest.mark.parametrize('name', ['coop', 'mmrl'])  # MMRL has other logits for new classes
def test_trust_scores_are_those_of_training(random_clip, name):
    model = fvgpt(TUNERS[name](random_clip))
    observer, dataset = Observer(model), Images(count=16)
    column = observer.collect(dataset)
    images, labels, masks, _ = observer.load([dataset[i] for i in range(16)])
    frozen = model.extract_feat(images, masks)
    tuner, text = model.tuner, model.tuner.cached_text()
    z_full, z_fg = (
        tuner.logits(tuner.features_of(view), text, 'base')
        for view in (frozen.full, frozen.foreground)
    )
    trust = model.reliability_gate(z_full, z_fg, frozen.area)
    asked = np.array([0, 1, 4, 5, 8, 9, 12, 13])
    assert np.flatnonzero(column.known('r')).tolist() == asked.tolist()
    np.testing.assert_allclose(column.values['r'][asked], trust.r[asked], atol=1e-5)
    cross_entropy = [
        torch.nn.functional.cross_entropy(z, labels, reduction='none') for z in (z_full, z_fg)
    ]
    np.testing.assert_array_equal(
        column.values['r_star'][asked], (cross_entropy[1] < cross_entropy[0]).float()[asked]
    )
    z_main = tuner.logits(tuner.features_of(frozen.full), text, 'new')
    prior = model.prior
    z_clip = prior.logits(dict(feature=frozen.full.clip), prior.cached_text())
    b = model.calibration(z_main, z_clip).b
    np.testing.assert_allclose(column.values['b'], b, atol=1e-5)


def test_towers_in_half_precision_give_similar_numbers(random_clip):
    model = fvgpt(MMRL(random_clip, layers=[1, 2], rep_dim=8))
    whole = Observer(model).collect(Images()).values
    random_clip.precision = 'bf16'
    model.tuner._text_cache.clear()
    half = Observer(model).collect(Images()).values
    for source in ('zero_shot', 'tuner', 'fvgpt'):
        for name in ('rollout', 'gradcam', 'confidence'):
            np.testing.assert_allclose(
                half[f'{source}/{name}'], whole[f'{source}/{name}'], atol=0.1
            )
    assert not np.array_equal(half['tuner/confidence'], whole['tuner/confidence'])


def test_missing_and_empty_masks_are_counted_and_left_out(random_clip):
    model = fvgpt(CoOp(random_clip, n_ctx=2))
    observer = Observer(model)
    column = observer.collect(Images(count=16))
    summary = column_summary(column, observer.sources)
    assert summary['masks'] == dict(usable=8, missing=4, empty=4)
    assert summary['tuner']['shift']['images'] == 8 and summary['foreground_gate']['images'] == 8
    assert summary['area'] == pytest.approx(0.25)
    assert '8 with a usable mask (4 missing, 4 empty)' in overview(
        dict(columns=dict(base=summary)), dict(tuner='CoOp')
    )
    bare = observer.collect(Images(with_masks=False))
    summary = column_summary(bare, observer.sources)
    assert (
        summary['masks'] == dict(usable=0, missing=8, empty=0) and 'shift' not in summary['tuner']
    )
    assert 'foreground_gate' not in summary and 'area' not in summary and summary['backbone_gate']


def test_a_tuner_is_compared_with_clip_alone(random_clip):
    tuner = CoOp(random_clip, n_ctx=2)
    tuner.set_class_names(NAMES)
    observer, dataset = Observer(tuner), Images()
    column = observer.collect(dataset)
    assert observer.sources == ['zero_shot', 'tuner'] and not any(
        key.startswith('fvgpt') for key in column.values
    )
    images, *_ = observer.load([dataset[i] for i in range(8)])
    np.testing.assert_allclose(
        column.values['tuner/confidence'], tuner(images).softmax(-1).max(-1).values, atol=1e-5
    )
    assert 'r' not in column.values and 'b' not in column.values


def test_other_models_are_refused():
    with pytest.raises(ValueError, match='Linear is neither FVGPT nor a prompt tuner'):
        Observer(torch.nn.Linear(1, 1))


@pytest.mark.parametrize(
    'count, expected', [(None, [0, 1, 2, 3, 4]), (9, [0, 1, 2, 3, 4]), (3, [0, 2, 4]), (1, [0])]
)
def test_fewer_images_are_spread_over_the_classes(count, expected):
    assert spread(5, count).tolist() == expected


def test_backbone_gate_counts_images_that_only_one_model_gets_right():
    values = {'label': np.zeros(4, int), 'mask': np.ones(4), 'b': np.array([0.9, 0.2, 0.5, 0.6])}
    for source, pred in dict(
        zero_shot=[0, 1, 0, 1], tuner=[1, 0, 0, 1], fvgpt=[0, 0, 0, 0]
    ).items():
        values.update({f'{source}/pred': np.array(pred), f'{source}/confidence': np.full(4, 0.5)})
    column = Column('new', 'new', ('a', 'b'), 4, np.arange(4), ['x'] * 4, values)
    summary = column_summary(column, ['zero_shot', 'tuner', 'fvgpt'])
    gate = summary['backbone_gate']
    assert (
        gate['images'] == 2
        and gate['auroc'] == 1
        and gate['trust_if_positive'] == 0.9
        and gate['trust_if_negative'] == 0.2
    )
    assert summary['fixed'] == 2 and summary['broken'] == 0
