"""Every tuner equals its original trainer: each loss term, gradient, 12 training steps, and logits
for other class names."""

import pytest
import torch
import torch.nn.functional as F

from fvgpt import tuners
from fvgpt.engine.runner.warmup_cosine_lr import WarmupCosineLR
from fvgpt.inference.dassl import from_dassl, our_key

from .golden import load_run, relative_error

RUNS = dict(
    kgcoop='KgCoOp',
    kgcoop_random_w8='KgCoOp',
    ivlp='IVLP',
    promptsrc='PromptSRC',
    maple='MaPLe',
    cocoop='CoCoOp',
    mmrl='MMRL',
)
# our loss term -> its name in the golden arrays
TERMS = dict(
    KgCoOp=lambda t, s: dict(loss_ce=t['ce'], loss_kg=s['W'] * t['kg_unweighted']),
    IVLP=lambda t, s: dict(loss=t['ce']),
    MaPLe=lambda t, s: dict(loss=t['ce']),
    CoCoOp=lambda t, s: dict(loss=t['ce']),
    PromptSRC=lambda t, s: dict(
        loss_ce=t['ce'],
        loss_text=s['TEXT_LOSS_WEIGHT'] * t['l1_text_unweighted'],
        loss_image=s['IMAGE_LOSS_WEIGHT'] * t['l1_image_unweighted'],
        loss_kl=t['kl'],
    ),
    MMRL=lambda t, s: dict(
        loss_ce=s['ALPHA'] * t['ce_main'],
        loss_rep=(1 - s['ALPHA']) * t['ce_rep'],
        loss_image=s['REG_WEIGHT'] * t['reg_image'],
        loss_text=s['REG_WEIGHT'] * t['reg_text'],
    ),
)


def build(clip, name, settings):
    s, template = settings['settings'], settings['dataset_name']
    words = dict(ctx_init=s.get('CTX_INIT') or None)
    deep = dict(
        n_ctx=s.get('N_CTX_TEXT'),
        n_ctx_vision=s.get('N_CTX_VISION'),
        depth_text=s.get('PROMPT_DEPTH_TEXT'),
        depth_vision=s.get('PROMPT_DEPTH_VISION'),
        **words,
    )
    kwargs = dict(
        KgCoOp=lambda: dict(n_ctx=s['N_CTX'], weight=s['W'], template=template, **words),
        CoCoOp=lambda: words,
        IVLP=lambda: deep,
        MaPLe=lambda: dict(n_ctx=s['N_CTX'], depth=s['PROMPT_DEPTH'], **words),
        PromptSRC=lambda: dict(
            deep, text_weight=s['TEXT_LOSS_WEIGHT'], image_weight=s['IMAGE_LOSS_WEIGHT']
        ),
        MMRL=lambda: dict(
            layers=s['REP_LAYERS'],
            n_tokens=s['N_REP_TOKENS'],
            rep_dim=s['REP_DIM'],
            alpha=s['ALPHA'],
            reg_weight=s['REG_WEIGHT'],
            template=template,
        ),
    )[name]()
    tuner = getattr(tuners, name)(clip, **kwargs)
    return tuner.set_class_names(settings['class_names_base'])


def golden_state(arrays, prefix, name):
    return from_dassl(
        {k.removeprefix(f'{prefix}.'): v for k, v in arrays.items() if k.startswith(f'{prefix}.')},
        name,
    )


@pytest.fixture(scope='module', params=sorted(RUNS))
def run(request, parity):
    name = RUNS[request.param]
    arrays, settings = load_run(parity / 'methods' / f'{request.param}.safetensors')
    batches, _ = load_run(parity / 'common' / 'batches.safetensors')
    return name, arrays, settings, batches


def terms_of(tuner, batches, index):
    images, labels = batches['train_images'][index].float(), batches['train_labels'][index]
    view = tuner.extract_view(images)
    return tuner.tuning_loss(tuner.features_of(view), tuner.encode_text(), labels, view.clip)


def check_evaluation(tuner, name, arrays, settings, batches):
    tuner.eval()
    images = batches['eval_images'].float()
    for subset in ('base', 'new'):
        tuner.set_class_names(settings[f'class_names_{subset}'], subset)
        key = 'logits_fusion' if name == 'MMRL' and subset == 'base' else 'logits'
        with torch.no_grad():
            torch.testing.assert_close(
                tuner(images), arrays[f'eval_{subset}.{key}'], atol=2e-3, rtol=0
            )


def test_first_step_and_gradients(run, tiny_clip):
    name, arrays, settings, batches = run
    tuner = build(tiny_clip, name, settings)
    fresh = {k: v.shape for k, v in tuner.state_dict().items()}
    state = golden_state(arrays, 'init', name)
    assert {k: v.shape for k, v in state.items()} == fresh
    if settings['settings'].get('CTX_INIT'):
        torch.testing.assert_close(tuner.ctx.data, state['ctx'])
    tuner.load_state_dict(state)
    image = tuner.encode_image(batches['train_images'][0].float())
    text = tuner.encode_text()
    assert relative_error(image['feature'], arrays['step0.image_features_raw']) < 1e-5
    if 'step0.text_features_raw' in arrays:  # CoCoOp's text features belong to an image
        assert relative_error(text['feature'], arrays['step0.text_features_raw']) < 1e-5
    branch = 'new' if name == 'MMRL' else 'base'
    torch.testing.assert_close(
        tuner.logits(image, text, branch), arrays['step0.logits'], atol=5e-4, rtol=0
    )
    terms = terms_of(tuner, batches, 0)
    golden_terms = {
        k.removeprefix('terms.'): v for k, v in arrays.items() if k.startswith('terms.')
    }
    expected = TERMS[name](golden_terms, settings['settings'])
    assert set(terms) == set(expected)
    for key, value in expected.items():
        assert terms[key].item() == pytest.approx(float(value[0]), abs=1e-4), key
    sum(terms.values()).backward()
    gradients = golden_state(arrays, 'grad0', name)
    for key, parameter in tuner.named_parameters():
        assert relative_error(parameter.grad, gradients[key]) < 1e-3, key


def test_training_trajectory_and_evaluation(run, tiny_clip):
    name, arrays, settings, batches = run
    tuner = build(tiny_clip, name, settings)
    tuner.load_state_dict(golden_state(arrays, 'init', name))
    optim = settings['optim']
    if optim['NAME'] == 'adamw':
        optimizer = torch.optim.AdamW(
            tuner.parameters(), lr=optim['LR'], weight_decay=optim['WEIGHT_DECAY']
        )
    else:
        optimizer = torch.optim.SGD(
            tuner.parameters(), lr=optim['LR'], momentum=0.9, weight_decay=optim['WEIGHT_DECAY']
        )
    schedule = WarmupCosineLR(optimizer, end=settings['epochs'])
    losses, history = [], []
    for _ in range(settings['epochs']):
        for index in range(settings['batches_per_epoch']):
            loss = sum(terms_of(tuner, batches, index).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        schedule.step()
        history.append({k: v.clone() for k, v in tuner.state_dict().items()})
    assert torch.stack(losses).double().tolist() == pytest.approx(
        arrays['loss'].tolist(), abs=1e-3, rel=1e-3
    )
    prefix = 'final'
    if name == 'PromptSRC':
        weights = arrays['gpa.weights']
        prefix = 'final_before_gpa'
        tuner.load_state_dict(
            {k: sum(float(w) * state[k] for w, state in zip(weights, history)) for k in history[0]}
        )
        for key, value in golden_state(arrays, 'final', name).items():
            torch.testing.assert_close(tuner.state_dict()[key], value, atol=2e-5, rtol=0)
    for key, value in golden_state(arrays, prefix, name).items():
        torch.testing.assert_close(
            history[-1][key], value, atol=1e-4 if name == 'MMRL' else 2e-5, rtol=1e-3, msg=key
        )
    tuner.load_state_dict(golden_state(arrays, 'final', name))
    check_evaluation(tuner, name, arrays, settings, batches)


def test_masked_view(run, tiny_clip):
    name, arrays, settings, batches = run
    tuner = build(tiny_clip, name, settings).eval()
    tuner.load_state_dict(golden_state(arrays, 'final', name))
    images = batches['train_images'][0].float()
    masks = batches['train_masks'][0].float().reshape(len(images), 1, *images.shape[-2:])
    with torch.no_grad():
        for view, x in (('full0', images), ('masked0', images * masks)):
            feature = F.normalize(tuner.encode_image(x)['feature'], dim=-1)
            torch.testing.assert_close(feature, arrays[f'{view}.image_features'], atol=2e-5, rtol=0)


def test_names_that_are_not_trained_are_left_out():
    assert (
        our_key('token_prefix', 'CoOp') == '' == our_key('image_encoder.conv1.weight', 'PromptSRC')
    )
    with pytest.raises(ValueError, match='no key table'):
        from_dassl({}, 'DPC')
    with pytest.raises(ValueError, match='none of the parameters'):
        from_dassl({'token_prefix': torch.zeros(1)}, 'CoOp')
