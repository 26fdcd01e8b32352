"""CoOp equals the original trainer: features, loss, gradient, 12 training steps, and then other
class names."""

import pytest
import torch
import torch.nn.functional as F

from fvgpt.engine.runner.warmup_cosine_lr import WarmupCosineLR
from fvgpt.tuners import CoOp

from .golden import load_run, relative_error

RUNS = ['coop_n4_random', 'coop_n4_csc', 'coop_n4_middle', 'coop_n4_strong', 'coop_init_words']
CTX = 'prompt_learner.ctx'


def build(clip, settings):
    words = settings['settings']
    return CoOp(
        clip,
        n_ctx=words['N_CTX'],
        ctx_init=words['CTX_INIT'] or None,
        class_specific=words['CSC'],
        class_token_position=words['CLASS_TOKEN_POSITION'],
        num_classes=len(settings['class_names_base']),
    ).set_class_names(settings['class_names_base'])


@pytest.fixture(scope='module', params=RUNS)
def run(request, parity, tiny_clip):
    arrays, settings = load_run(parity / 'methods' / f'{request.param}.safetensors')
    batches, _ = load_run(parity / 'common' / 'batches.safetensors')
    return arrays, settings, batches


def step_loss(tuner, batches, index):
    images, labels = batches['train_images'][index].float(), batches['train_labels'][index]
    return tuner.tuning_loss(tuner.encode_image(images), tuner.encode_text(), labels)['loss']


def test_initial_words_are_the_words_embeddings(run, tiny_clip):
    arrays, settings, _ = run
    if settings['settings']['CTX_INIT']:
        torch.testing.assert_close(build(tiny_clip, settings).ctx.data, arrays[f'init.{CTX}'])


def test_first_step_and_gradient(run, tiny_clip):
    arrays, settings, batches = run
    tuner = build(tiny_clip, settings)
    tuner.ctx.data.copy_(arrays[f'init.{CTX}'])
    text, image = tuner.encode_text(), tuner.encode_image(batches['train_images'][0].float())
    assert relative_error(text['feature'], arrays['step0.text_features_raw']) < 1e-5
    assert relative_error(image['feature'], arrays['step0.image_features_raw']) < 1e-5
    torch.testing.assert_close(tuner.logits(image, text), arrays['step0.logits'], atol=5e-4, rtol=0)
    step_loss(tuner, batches, 0).backward()
    assert relative_error(tuner.ctx.grad, arrays[f'grad0.{CTX}']) < 1e-4


def test_training_trajectory_and_evaluation(run, tiny_clip):
    arrays, settings, batches = run
    tuner = build(tiny_clip, settings)
    tuner.ctx.data.copy_(arrays[f'init.{CTX}'])
    optim, epochs = settings['optim'], settings['epochs']
    optimizer = torch.optim.SGD(
        tuner.parameters(), lr=optim['LR'], momentum=0.9, weight_decay=optim['WEIGHT_DECAY']
    )
    schedule = WarmupCosineLR(optimizer, end=epochs)
    losses = []
    for _ in range(epochs):
        for index in range(settings['batches_per_epoch']):
            loss = step_loss(tuner, batches, index)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        schedule.step()
    torch.testing.assert_close(torch.stack(losses).double(), arrays['loss'], atol=1e-4, rtol=0)
    torch.testing.assert_close(tuner.ctx.data, arrays[f'final.{CTX}'], atol=2e-5, rtol=0)
    tuner.eval()
    for subset in ('base', 'new'):
        if f'eval_{subset}.logits' not in arrays:
            continue  # class-specific contexts have no logits for other classes
        tuner.set_class_names(settings[f'class_names_{subset}'], subset)
        torch.testing.assert_close(
            tuner(batches['eval_images'].float()),
            arrays[f'eval_{subset}.logits'],
            atol=2e-3,
            rtol=0,
        )
        torch.testing.assert_close(
            F.normalize(tuner.cached_text()['feature'], dim=-1),
            arrays[f'eval_{subset}.text_features'],
            atol=1e-4,
            rtol=0,
        )
