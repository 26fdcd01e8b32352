"""FVG-PT equals an independent float64 calculation: quantities, gradients, trajectories, and every
documented option."""

import pytest
import torch
from mmpretrain.structures import DataSample

from fvgpt.engine.runner.warmup_cosine_lr import WarmupCosineLR
from fvgpt.foreground import FVGPT
from fvgpt.tuners import CoOp, FrozenFeatures, PromptTuner, ViewFeatures

from .golden import load_run, relative_error

CASES = [
    'default',
    'other_constants',
    'entropy_normalized',
    'larger_lr',
    'fdc_only_r1',
    'r_not_detached',
    'no_prior_kl',
    'trained_like',
    'tau_squared',
    'all_masks_degenerate',
    'full_width',
    'no_area_rule',
    'mmrl_mapping',
]
LOSS_KEYS = dict(L_frg='loss_gate', L_dist='loss_distill', ce_fdc='loss_fdc')
NAMES = {
    'adapter_image': 'compensation.adapter_image',
    'adapter_text': 'compensation.adapter_text',
    'frg.fc1': 'reliability_gate.mlp.0',
    'frg.fc2': 'reliability_gate.mlp.2',
    'brg.fc1': 'calibration.gate.mlp.0',
    'brg.fc2': 'calibration.gate.mlp.2',
}


def our_name(name):
    for theirs, ours in NAMES.items():
        if name.startswith(theirs):
            return ours + name[len(theirs) :]
    raise KeyError(name)


class GivenFeatures(PromptTuner):
    """A tuner with given features, or given logits if the case contains them.

    It implements only the contract of tuners, which is all that FVGPT uses.
    """

    image_tower_is_clip = False
    logits_are_cosine = False

    def __init__(self, clip, scale):
        super().__init__(clip)
        self.scale, self.text = scale, None

    def _build_classes(self, class_names):
        pass

    def encode_text(self):
        return dict(feature=self.text)

    def cached_text(self):
        return self.encode_text()

    def logits(self, image, text, branch='base'):
        given = image.get(f'{branch}_logits')
        return self.scale * image['feature'] @ text['feature'].T if given is None else given


def build(clip, constants, arrays, case):
    size = {k: v.shape for k, v in arrays.items() if k.startswith(f'{case}.init.')}
    bottleneck, dim = size[f'{case}.init.adapter_image.down.weight']
    gate = dict(
        hidden=size[f'{case}.init.brg.fc1.weight'][0],
        temperature=constants['tau'],
        normalize_entropy=constants['entropy_norm'],
    )
    area = {k: constants[k] if constants['area_rule'] else None for k in ('area_min', 'area_max')}
    model = FVGPT(
        GivenFeatures(clip, constants['scale']),
        reliability_gate=dict(type='ForegroundReliabilityGate', **gate, **area)
        if constants['use_frg']
        else None,
        compensation=dict(
            type='ForegroundDistillationCompensation',
            dim=dim,
            bottleneck=bottleneck,
            logit_scale=constants['scale'],
        ),
        calibration=dict(type='PriorCalibration', **gate),
        gate_loss=dict(
            type='ReliabilityLoss', margin=constants['delta'], loss_weight=constants['lambda_rg']
        ),
        distillation_loss=dict(
            type='ForegroundDistillationLoss',
            temperature=constants['tau'],
            detach_trust=constants['detach_r'],
            tau_squared=constants['tau_squared'],
            loss_weight=constants['lambda_d'],
        ),
        calibration_loss=dict(
            type='PriorCalibrationLoss',
            temperature=constants['tau'],
            use_kl=constants['use_kl'],
            tau_squared=constants['tau_squared'],
            loss_weight=constants['lambda_pc'],
        ),
        fixed_trust=constants['fixed_r'] if constants['fixed_r'] is not None else 1.0,
    ).double()
    own = dict(model.named_parameters())
    for key in size:
        name = key.removeprefix(f'{case}.init.')
        if name.startswith('frg') and not constants['use_frg']:
            continue
        own[our_name(name)].data.copy_(arrays[key])
    return model


def batch(arrays, case, index):
    data = {k: arrays[f'batches.{k}'][index] for k in ('f', 'f_fg', 'f0', 'labels', 'area')}
    data.update({k: arrays[f'batches.{k}'] for k in ('g', 'g0')})
    data.update(
        {
            k.removeprefix(f'{case}.input0.'): v
            for k, v in arrays.items()
            if k.startswith(f'{case}.input0.')
        }
    )
    return {k: v.double() if v.is_floating_point() else v for k, v in data.items()}


def losses(model, data, scale, logits=None):
    model.tuner.text = data['g']
    full, foreground = dict(feature=data['f']), dict(feature=data['f_fg'])
    if logits:
        full.update(base_logits=logits['z_full'], new_logits=logits['z_main'])
        foreground.update(base_logits=logits['z_fg'])
    views = (ViewFeatures(tuned=full), ViewFeatures(tuned=foreground))
    signals = model.signals(FrozenFeatures(*views, data['area']))
    signals.z_clip = scale * data['f0'] @ data['g0'].T
    terms = model.base_losses(signals, data['labels'])
    terms.update(model.new_losses(signals, data['labels']))
    return terms


@pytest.fixture(scope='module')
def oracle(parity):
    return load_run(parity / 'fvgpt_oracle.safetensors')


@pytest.mark.parametrize('case', CASES)
def test_losses_and_gradients_of_the_first_step(oracle, random_clip, case):
    arrays, settings = oracle
    constants = settings[case]
    model = build(random_clip, constants, arrays, case)
    step = {
        k.removeprefix(f'{case}.step0.'): v
        for k, v in arrays.items()
        if k.startswith(f'{case}.step0.')
    }
    given = {k: step[k] for k in ('z_full', 'z_fg', 'z_main')} if case == 'mmrl_mapping' else None
    terms = losses(model, batch(arrays, case, 0), constants['scale'], given)
    weights = dict(L_frg=constants['lambda_rg'], L_dist=constants['lambda_d'], ce_fdc=1.0)
    for theirs, ours in LOSS_KEYS.items():
        if ours in terms:
            assert terms[ours].item() == pytest.approx(
                weights[theirs] * float(step[theirs]), rel=1e-9, abs=1e-12
            ), ours
    assert terms['loss_prior'].item() == pytest.approx(
        constants['lambda_pc'] * float(step['L_pc']), rel=1e-9
    )
    total = sum(value for key, value in terms.items() if 'loss' in key)
    assert float(total.detach()) == pytest.approx(float(step['total']), rel=1e-9)
    total.backward()
    own = dict(model.named_parameters())
    for key, expected in arrays.items():
        if key.startswith(f'{case}.grad0.'):
            name = key.removeprefix(f'{case}.grad0.')
            if name.startswith('frg') and not constants['use_frg']:
                assert not expected.any()
                continue
            stored_in_float32 = expected.dtype == torch.float32
            error = relative_error(own[our_name(name)].grad, expected.double())
            assert error < (1e-6 if stored_in_float32 else 1e-9), key


@pytest.mark.parametrize('case', ['default', 'larger_lr', 'trained_like'])
def test_training_trajectory_and_both_branches(oracle, random_clip, case):
    arrays, settings = oracle
    constants = settings[case]
    model = build(random_clip, constants, arrays, case)
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad],
        lr=constants['lr0'],
        momentum=0.9,
        weight_decay=constants['weight_decay'],
    )
    schedule = WarmupCosineLR(optimizer, end=3)
    totals = []
    for _ in range(3):
        for index in range(4):
            terms = losses(model, batch(arrays, case, index), constants['scale'])
            total = sum(value for key, value in terms.items() if 'loss' in key)
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            totals.append(float(total))
        schedule.step()
    assert totals == pytest.approx(arrays[f'{case}.losses'][:, 0].tolist(), rel=1e-7)
    own = dict(model.named_parameters())
    for key, expected in arrays.items():
        if key.startswith(f'{case}.final.'):
            name = our_name(key.removeprefix(f'{case}.final.'))
            torch.testing.assert_close(own[name].data, expected, rtol=1e-7, atol=1e-9)
    data = {
        k: v.double() if v.is_floating_point() else v
        for k, v in arrays.items()
        if k.startswith('eval_')
    }
    z_fdc = model.compensation(data['eval_base.f'], arrays['batches.g'].double())
    assert relative_error(z_fdc, arrays[f'{case}.eval_base_z_fdc']) < 1e-7
    scale = constants['scale']
    z_pc, b = model.calibration(
        scale * data['eval_new.f'] @ data['eval_new.g'].T,
        scale * data['eval_new.f0'] @ data['eval_new.g0'].T,
    )
    assert relative_error(z_pc, arrays[f'{case}.eval_new_z_pc']) < 1e-7
    assert relative_error(b, arrays[f'{case}.eval_new_b']) < 1e-7


@pytest.mark.parametrize('template', ['plain', 'custom'])
def test_on_the_tuned_coop(parity, tiny_clip, template):
    """The whole classifier on real images and masks: views, tuner, prior, gates, both branches."""
    arrays, settings = load_run(parity / 'fvgpt_on_backbones.safetensors')
    tuned, run = load_run(parity / 'methods' / 'coop_n4_random.safetensors')
    batches, _ = load_run(parity / 'common' / 'batches.safetensors')
    tuner = CoOp(tiny_clip, n_ctx=4)
    tuner.ctx.data.copy_(tuned['final.prompt_learner.ctx'])
    hidden = int(settings['gate_hidden'])
    model = FVGPT(
        tuner,
        reliability_gate=dict(type='ForegroundReliabilityGate', hidden=hidden),
        compensation=dict(
            type='ForegroundDistillationCompensation',
            bottleneck=int(settings['bottleneck']),
            adapter_input='unit',
        ),
        calibration=dict(type='PriorCalibration', hidden=hidden),
        prior_template='OxfordPets' if template == 'custom' else 'a photo of a {}.',
    ).set_class_names(run['class_names_base'])
    own = dict(model.named_parameters())
    for key, value in arrays.items():
        if key.startswith('init.'):
            own[our_name(key.removeprefix('init.'))].data.copy_(value)
    samples = [
        DataSample().set_gt_label(int(label)).set_mask(mask.reshape(mask.shape[-2:]))
        for label, mask in zip(batches['train_labels'][0], batches['train_masks'][0])
    ]
    terms = model.loss(batches['train_images'][0].float(), samples)
    prefix = f'coop_n4_random.{template}'
    lambda_d = settings['constants']['lambda_d']
    assert terms['loss_gate'].item() == pytest.approx(
        float(arrays[f'{prefix}.step0.L_frg']), abs=1e-4
    )
    assert terms['loss_distill'].item() == pytest.approx(
        lambda_d * float(arrays[f'{prefix}.step0.L_dist']), abs=1e-3
    )
    assert terms['loss_fdc'].item() == pytest.approx(
        float(arrays[f'{prefix}.step0.ce_fdc']), abs=1e-4
    )
    assert terms['loss_prior'].item() == pytest.approx(
        float(arrays[f'{prefix}.step0.L_pc']), abs=1e-4
    )
    model.eval()
    torch.testing.assert_close(
        model(batches['eval_images'].float()).double(),
        arrays[f'{prefix}.eval_base.z_fdc'].double(),
        atol=1e-3,
        rtol=0,
    )
    model.set_class_names(run['class_names_new'], 'new')
    torch.testing.assert_close(
        model(batches['eval_images'].float()).double(),
        arrays[f'{prefix}.eval_new.z_pc'].double(),
        atol=1e-3,
        rtol=0,
    )
