"""The benchmark measures two ways of the same computation and says what it measured."""

import json

import pytest
import torch

from fvgpt.benchmark import (
    BENCHMARKS,
    PlainCoOp,
    Setting,
    a_batch,
    build_fvgpt,
    build_tuner,
    in_turns,
    medians,
    run_benchmarks,
)
from fvgpt.tuners import CoOp

from ..conftest import run_tool


@pytest.fixture
def setting(random_clip_folder):
    return Setting(clip=f'local-dir:{random_clip_folder}', classes=40, repeats=1)


def test_the_plain_way_gives_the_same_features_and_gradients(setting):
    results = []
    for kind in (CoOp, PlainCoOp):
        tuner = build_tuner(setting, kind)
        feature = tuner.encode_text()['feature']
        feature.square().sum().backward()
        results.append((feature.detach(), tuner.ctx.grad))
    for fast, plain in zip(*results):
        assert (fast - plain).norm() < 1e-4 * plain.norm()


def test_cached_features_give_the_same_losses_as_one_pass_per_view(setting):
    model = build_fvgpt(setting)
    images, samples, masks = a_batch(setting, model.tuner.clip)
    from_images, kept = (
        model(inputs, samples, mode='loss')
        for inputs in (images, model.extract_feat(images, masks))
    )
    for key in from_images:
        torch.testing.assert_close(kept[key], from_images[key], rtol=1e-5, atol=1e-5)


def test_all_figures_are_there_and_fit_each_other(setting):
    figures = run_benchmarks(list(BENCHMARKS), setting)
    for part in ('text', 'stage1', 'stage2'):
        name = 'text_step_speedup' if part == 'text' else f'{part}_speedup'
        assert figures[name] == pytest.approx(
            figures[f'{part}_plain_s'] / figures[f'{part}_fast_s'], rel=1e-3
        )
    assert (
        figures['text_plain_peak_mb'] > figures['text_fast_peak_mb'] >= 0
        and figures['inference_overhead'] > -1
    )
    assert figures['matmul_flop_per_s'] > 1e8 and figures['copy_bytes_per_s'] > 1e7
    assert figures['image_flop_utilization'] > 0 and figures['text_fast_flops'] > 0
    json.dumps(figures)


def test_steps_take_turns():
    order = []
    steps = {name: lambda name=name: order.append(name) for name in 'ab'}
    times = in_turns(steps, Setting(repeats=3))
    switches = [b for a, b in zip(order, order[1:]) if a != b]
    assert switches == list('babababa')[: len(switches)] and len(switches) == 7
    assert {name: len(values) for name, values in times.items()} == dict(a=3, b=3)
    assert medians(dict(a=[3.0, 1.0, 2.0])) == dict(a=2.0)


def test_the_command_writes_what_it_prints(random_clip_folder, tmp_path):
    file = tmp_path / 'figures.json'
    done = run_tool(
        'tools/benchmark.py',
        'stage2',
        '--clip',
        f'local-dir:{random_clip_folder}',
        '--classes',
        5,
        '--repeats',
        1,
        '--json',
        file,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(file.read_text())
    assert (
        figures['classes'] == 5
        and f'stage2_speedup              {figures["stage2_speedup"]}' in done.stdout
    )


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['text', '--classes', 2000], '--classes must lie between 1 and 1000'),
        (['text', '--json', '/nowhere/x.json'], '--json: there is no folder /nowhere'),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    done = run_tool('tools/benchmark.py', *arguments)
    assert done.returncode == 1 and message in done.stderr and 'Traceback' not in done.stderr
