"""The contracts of FVG-PT, on tuners defined here: FVGPT uses a tuner only by its interface."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from mmpretrain.structures import DataSample
from torch import nn

from fvgpt.foreground import FVGPT
from fvgpt.foreground.fvgpt import stack_masks
from fvgpt.tuners import CoOp, PromptTuner

BASE, NEW = ['cat', 'dog', 'yellow-crested cockatoo'], ['St. Bernard', 'Yo_Yo']


class ShiftedNames(PromptTuner):
    """A minimal tuner: CLIP's text features of the class names plus one learned vector."""

    def __init__(self, clip):
        super().__init__(clip)
        self.shift = nn.Parameter(torch.full((clip.embed_dim,), 0.1))

    def _build_classes(self, class_names):
        self.features = self.clip.encode_text(class_names)

    def encode_text(self):
        return dict(feature=self.features + self.shift)


class ShiftedImages(ShiftedNames):
    """The same with its own image features, and different logits for new classes, as in MMRL."""

    image_tower_is_clip = False
    logits_are_cosine = False

    def encode_image(self, images):
        feature = self.clip.encode_image(images)
        return dict(feature=feature + self.shift, other=feature - self.shift)

    def logits(self, image, text, branch='base'):
        f, g = (
            F.normalize(image['feature' if branch == 'base' else 'other'], dim=-1),
            F.normalize(text['feature'], dim=-1),
        )
        return self.clip.logit_scale * f @ g.T


TUNERS = {
    'shifted_names': ShiftedNames,
    'shifted_images': ShiftedImages,
    'coop': lambda clip: CoOp(clip, n_ctx=2),
}


@pytest.fixture(params=sorted(TUNERS))
def tuner(request, random_clip):
    torch.manual_seed(2)
    return TUNERS[request.param](random_clip)


def build(tuner, **kwargs):
    torch.manual_seed(3)
    model = FVGPT(tuner, **kwargs)
    model.set_class_names(BASE)
    return model


def batch(seed, with_masks=True):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(4, 3, 32, 32, generator=generator)
    samples = [DataSample().set_gt_label(i % 3) for i in range(4)]
    if with_masks:
        for i, sample in enumerate(samples):
            mask = torch.zeros(32, 32, dtype=torch.uint8)
            mask[i : 20 + i, 4:20] = 1
            sample.set_mask(mask)
    return images, samples


def train(model, steps=4, lr=0.05, **kwargs):
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], lr=lr, momentum=0.9, weight_decay=5e-4
    )
    model.train()
    history = []
    for step in range(steps):
        terms = model(*batch(step, **kwargs), mode='loss')
        loss = sum(value for key, value in terms.items() if 'loss' in key)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append({key: value.item() for key, value in terms.items()})
    return history


def group(model, *prefixes):
    return {k: v.clone() for k, v in model.state_dict().items() if k.startswith(prefixes)}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


# ------------------------------------------------------------------ size
@pytest.mark.parametrize('dim, expected', [(512, 132_546), (768, 198_594)])
def test_number_of_trainable_parameters(dim, expected):
    clip = nn.Module()
    clip.embed_dim, clip.logit_scale, clip.tokenize = dim, 100.0, None
    tuner = type('Empty', (PromptTuner,), dict(_build_classes=None, encode_text=None))(clip)
    assert sum(p.numel() for p in FVGPT(tuner).parameters() if p.requires_grad) == expected


def test_checkpoint_at_vit_b_16_is_under_two_megabytes(tmp_path):
    clip = nn.Module()
    clip.embed_dim, clip.text_width, clip.logit_scale, clip.tokenize = 512, 512, 100.0, None
    model = FVGPT(CoOp(clip, n_ctx=4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0035, momentum=0.9)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    optimizer.step()
    torch.save(
        dict(state_dict=model.state_dict(), optimizer=optimizer.state_dict()),
        tmp_path / 'epoch_10.pth',
    )
    assert (
        tmp_path / 'epoch_10.pth'
    ).stat().st_size < 1_500_000  # leaves half a megabyte for logs and the recipe


# ------------------------------------------------------------------ identity
def test_base_branch_starts_at_the_tuner(tuner):
    model = build(tuner).eval()
    images, _ = batch(0)
    scores = model.logits_by_source(images)
    assert torch.equal(scores['fvgpt'], scores['tuner'])


@pytest.mark.parametrize('branch', ['base', 'new'])
def test_switched_off_it_is_the_tuner(tuner, branch):
    model = build(tuner, compensation=None, calibration=None).eval()
    model.set_class_names(NEW, branch)
    images, _ = batch(0)
    tuner.eval()
    assert torch.equal(
        model(images),
        tuner(images)
        if branch == 'base'
        else tuner.logits(tuner.encode_image(images), tuner.cached_text(), 'new'),
    )


def test_calibration_spans_tuner_and_clip(tuner):
    model = build(tuner).eval()
    model.set_class_names(NEW, 'new')
    images, _ = batch(0)
    last = model.calibration.gate.mlp[-1]
    for bias, source in ((-1e4, 'tuner'), (1e4, 'zero_shot')):
        with torch.no_grad():
            last.bias.fill_(bias)
        scores = model.logits_by_source(images)
        assert torch.equal(scores['fvgpt'], scores[source])


# ------------------------------------------------------------------ independence of the branches
def test_base_branch_does_not_see_the_new_branch(tuner):
    trained = []
    for weight in (0.0, 1.0):
        model = build(tuner, calibration_loss=dict(type='PriorCalibrationLoss', loss_weight=weight))
        train(model)
        trained.append(group(model, 'compensation', 'reliability_gate'))
    assert same(*trained)


@pytest.mark.parametrize(
    'off, kept',
    [
        ('calibration', ('compensation', 'reliability_gate')),
        ('compensation', ('calibration',)),
        ('reliability_gate', ('calibration',)),
    ],
)
def test_a_module_that_is_off_changes_nothing_else(tuner, off, kept):
    trained = []
    for settings in ({}, {off: None}):
        model = build(tuner, **settings)
        after = torch.rand(1)  # the next random number, of an augmentation for instance
        train(model)
        trained.append({**group(model, *kept), 'after': after})
    assert same(*trained)


def test_new_branch_does_not_see_the_base_branch(tuner):
    trained = []
    for weight in (0.0, 10.0):
        model = build(
            tuner,
            distillation_loss=dict(type='ForegroundDistillationLoss', loss_weight=weight),
            gate_loss=dict(type='ReliabilityLoss', loss_weight=weight),
        )
        train(model)
        trained.append(group(model, 'calibration'))
    assert same(*trained)


def test_gradient_of_the_calibration_loss_into_the_adapters_is_none(tuner):
    model = build(tuner)
    model(*batch(0), mode='loss')['loss_prior'].backward()
    assert all(
        p.grad is None
        for p in [*model.compensation.parameters(), *model.reliability_gate.parameters()]
    )
    assert any(p.grad.any() for p in model.calibration.parameters())


# ------------------------------------------------------------------ frozen is frozen
def test_training_changes_the_plug_in_and_nothing_else(tuner):
    model = build(tuner)
    clip_before, tuner_before = tuner.clip.weight_hash, group(model, 'tuner')
    plug_in_before = group(model, 'compensation', 'reliability_gate', 'calibration')
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    model.train()
    assert not model.tuner.training
    sum(v for k, v in model(*batch(0), mode='loss').items() if 'loss' in k).backward()
    optimizer.step()
    assert all(p.grad is None for p in tuner.parameters())
    assert len(optimizer.state) == len([p for p in model.parameters() if p.requires_grad])
    assert same(tuner_before, group(model, 'tuner'))
    del tuner.clip.__dict__['weight_hash']  # cached
    assert tuner.clip.weight_hash == clip_before
    after = group(model, 'compensation', 'reliability_gate', 'calibration')
    changed = {k for k in after if not torch.equal(after[k], plug_in_before[k])}
    # If the residual starts at zero, the first layer of an adapter changes from the second step on
    assert set(after) - changed <= {k for k in after if '.down.' in k}


def test_state_dict_holds_the_trained_parameters_only(tuner):
    model = build(tuner)
    assert set(model.state_dict()) == {name for name, _ in model.named_parameters()}
    assert not any('clip' in key for key in model.state_dict())


# ------------------------------------------------------------------ ablations of Table 3
FDC = dict(type='ForegroundDistillationCompensation')
FRG = dict(type='ForegroundReliabilityGate')
PC = dict(type='PriorCalibration')


@pytest.mark.parametrize(
    'fdc, frg, pc',
    [c for c in itertools.product((None, FDC), (None, FRG), (None, PC)) if any(c[::2])],
)
def test_each_module_can_be_switched_off(tuner, fdc, frg, pc):
    model = build(tuner, compensation=fdc, reliability_gate=frg, calibration=pc)
    history = train(model, with_masks=fdc is not None)
    expected = ({'loss_fdc', 'loss_distill'} if fdc else set()) | (
        {'loss_gate'} if fdc and frg else set()
    )
    expected |= {'loss_prior'} if pc else set()
    assert {key for key in history[0] if 'loss' in key} == expected
    assert all(torch.isfinite(torch.tensor(list(terms.values()))).all() for terms in history)
    images, _ = batch(0)
    model.eval()
    scores = model.logits_by_source(images)
    assert torch.equal(scores['fvgpt'], scores['tuner']) != bool(fdc)
    model.set_class_names(NEW, 'new')
    scores = model.logits_by_source(images)
    full = model.tuner.encode_image(images)
    if pc:
        expected = model.calibration(scores['tuner'], scores['zero_shot']).z_pc
    else:
        expected = model.compensation(full['feature'], model.tuner.cached_text()['feature'])
    assert torch.equal(scores['fvgpt'], expected)


def test_without_a_gate_the_foreground_is_trusted_as_configured(tuner):
    full = build(tuner, reliability_gate=None, fixed_trust=0.0)(*batch(0), mode='loss')
    assert full['trust_foreground'].item() == 0
    # Initially z_FDC = z_full, so distillation from the full view alone has a loss of zero if the
    # tuner's logits are plain cosines
    if tuner.image_tower_is_clip:
        assert full['loss_distill'].item() == pytest.approx(0, abs=1e-5)


# ------------------------------------------------------------------ options and errors
def test_foreground_view_keeps_the_object_and_fills_the_rest(tuner):
    images, masks = torch.randn(2, 3, 8, 8), torch.zeros(2, 1, 8, 8)
    masks[:, :, 2:5] = 1
    for fill, expected in (('mean', 0.0), ('black', -0.48145466 / 0.26862954)):
        view = build(tuner, fg_fill=fill).foreground_view(images, masks)
        assert torch.equal(view[:, :, 2:5], images[:, :, 2:5])
        torch.testing.assert_close(view[:, 0, 5:], torch.full_like(view[:, 0, 5:], expected))


def test_the_control_without_masks_has_the_full_view_and_the_area_of_the_mask(tuner):
    model = build(tuner, fg_fill='image')
    images, samples = batch(0)
    masks = stack_masks(samples, images)
    frozen = model.extract_feat(images, masks)
    signals = model.signals(frozen)
    torch.testing.assert_close(signals.z_fg, signals.z_full)
    assert torch.equal(frozen.area, masks.mean((1, 2, 3))) and (frozen.area < 0.98).any()
    assert model.cache_key(training=True) != build(tuner).cache_key(training=True)


def test_unusable_masks_are_not_trusted_and_do_not_teach_the_gate(tuner):
    model = build(tuner)
    images, samples = batch(0)
    for sample, fill in zip(samples, (0, 1, 0, 1)):
        sample.mask.fill_(fill)
    terms = model(images, samples, mode='loss')
    assert terms['trust_foreground'].item() == 0
    assert terms['loss_gate'].item() == 0


@pytest.mark.parametrize(
    'options', itertools.product(('raw', 'unit'), ('zero', 'small_weight', 'layer_scale'))
)
def test_every_form_of_the_adapters_trains(tuner, options):
    adapter_input, residual_init = options
    model = build(
        tuner, compensation=dict(FDC, adapter_input=adapter_input, residual_init=residual_init)
    )
    history = train(model, steps=3)
    assert {'adapter_image_norm', 'adapter_text_norm', 'trust_foreground', 'trust_clip'} <= set(
        history[0]
    )
    assert history[0]['adapter_image_norm'] < 0.05 < 1
    extra = 2 if residual_init == 'layer_scale' else 0
    plain = build(tuner, compensation=FDC)
    count = lambda m: sum(p.numel() for p in m.parameters() if p.requires_grad)  # noqa: E731
    assert count(model) == count(plain) + extra


def test_evaluation_needs_no_masks_and_compare_can_be_left_out(tuner):
    model = build(tuner, compare=False).eval()
    images, samples = batch(0, with_masks=False)
    predicted = model(images, samples, mode='predict')
    assert 'tuner_score' not in predicted[0] and 'fvgpt_score' in predicted[0]


def test_missing_masks_and_masks_of_another_size_are_errors(tuner):
    model = build(tuner)
    with pytest.raises(ValueError, match='LoadForegroundMask'):
        model(*batch(0, with_masks=False), mode='loss')
    images, samples = batch(0)
    with pytest.raises(ValueError, match='changed one without the other'):
        model(images[..., :24], samples, mode='loss')


def test_a_tuner_that_was_never_trained_is_refused(random_clip_folder):
    clip = dict(type='FrozenCLIP', name=f'local-dir:{random_clip_folder}', pretrained='random')
    model = FVGPT(dict(type='CoOp', clip=clip, n_ctx=2)).set_class_names(BASE)
    with pytest.raises(RuntimeError, match='never trained'):
        model(*batch(0), mode='loss')
    model.load_state_dict(model.state_dict())
    model(*batch(0), mode='loss')


@pytest.mark.parametrize(
    'settings, key',
    [
        (dict(fg_fill='white'), 'fg_fill'),
        (dict(compensation=dict(FDC, adapter_input='half')), 'adapter_input'),
        (dict(compensation=dict(FDC, residual_init='one')), 'residual_init'),
        (dict(reliability_gate=dict(FRG, layers=4)), 'layers'),
    ],
)
def test_bad_settings_name_the_key(tuner, settings, key):
    with pytest.raises(ValueError, match=key):
        build(tuner, **settings)
