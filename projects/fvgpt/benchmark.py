"""Speed of this project's training and inference, compared with the usual implementation.

The command is ``tools/benchmark.py``. "Plain" is what public implementations do: every prompt is
computed at all 77 positions, and in every step the text is encoded again and every image passes
through the towers, in one pass per view. "Fast" is this project. Both are timed in one run on one
machine. That both give the same numbers is tested elsewhere.
"""

import multiprocessing
import statistics
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmpretrain.datasets.categories import IMAGENET_SIMPLE_CATEGORIES
from mmpretrain.structures import DataSample
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from .clip.frozen_clip import PRECISIONS, FrozenCLIP
from .clip.prompt_encoder import encode_prompts_plain, text_tokens_that_fit
from .engine.hooks.cost import device as device_name
from .foreground.fvgpt import FVGPT
from .tuners import CoOp, FrozenFeatures, ViewFeatures

SHOTS, EPOCHS = 16, 10  # of the estimated training


class Setting(NamedTuple):
    """Settings of a measurement.

    Attributes:
        clip: name of the CLIP, whose weights are random. The default has the activation of OpenAI's
            weights.
        classes: number of classes.
        batch_size: images per training step.
        repeats: number of timings, of which the median is reported.
        device: a torch device.
        precision: of the towers, see :class:`~fvgpt.clip.FrozenCLIP`.
    """

    clip: str = 'ViT-B-16-quickgelu'
    classes: int = 100
    batch_size: int = 4
    repeats: int = 5
    device: str = 'cpu'
    precision: Optional[str] = None


class PlainCoOp(CoOp):
    """CoOp whose prompts are all padded to 77 positions, as in the public code."""

    def encode_text(self) -> Dict[str, Tensor]:
        """Text features (C, D)."""
        with self.clip.in_precision():
            features = encode_prompts_plain(
                self.clip.text_tower, self.prompts(), length=self.clip.context_length
            )
        return dict(feature=features.float())


def build_tuner(setting: Setting, kind: type = CoOp) -> CoOp:
    """A CoOp of class ``kind`` with four context tokens and its classes set, on a random CLIP."""
    torch.manual_seed(0)
    tuner = kind(
        FrozenCLIP(setting.clip, pretrained='random', precision=setting.precision), n_ctx=4
    )
    tuner.to(setting.device).set_class_names(IMAGENET_SIMPLE_CATEGORIES[: setting.classes])
    tuner.set_trained_classes(tuner.class_names)
    return tuner


def plain_setting(setting: Setting, clip: FrozenCLIP) -> Setting:
    """The setting with as many classes as the plain implementation has memory for.

    Its cost is linear in the number of classes, so the figures for all classes are extrapolated.
    """
    tokens = clip.context_length * setting.classes
    fitting = 2 * text_tokens_that_fit(clip.text_tower, clip.device)
    return setting._replace(
        classes=max(2, setting.classes * fitting // tokens) if tokens > fitting else setting.classes
    )


def a_batch(
    setting: Setting, clip: FrozenCLIP, size: Optional[int] = None
) -> Tuple[Tensor, List[DataSample], Tensor]:
    """A random batch of ``size`` images, by default of the training batch size.

    Returns:
        Images (B, 3, S, S), B data samples with label and mask, and masks (B, 1, S, S) whose lower
        half is foreground.
    """
    size = size or setting.batch_size
    images = torch.randn(size, 3, clip.image_size, clip.image_size, device=setting.device)
    masks = torch.zeros(size, 1, clip.image_size, clip.image_size, device=setting.device)
    masks[..., clip.image_size // 2 :] = 1
    samples = [DataSample().set_gt_label(i % setting.classes) for i in range(size)]
    for sample, mask in zip(samples, masks):
        sample.set_field(mask, 'mask', dtype=torch.Tensor)
    return images, samples, masks


# ------------------------------------------------------------------ timing
def synchronize(device: str) -> None:
    """Wait until the GPU has finished; returns at once on a CPU."""
    if device != 'cpu':
        torch.cuda.synchronize()


def seconds(step: Callable[[], object], device: str, at_least: float = 0.2) -> float:
    """Mean seconds per call, over as many calls as take ``at_least`` seconds."""
    count, start = 0, time.perf_counter()
    while True:
        step()
        count += 1
        synchronize(device)
        spent = time.perf_counter() - start
        if spent >= at_least:
            return spent / count


def in_turns(steps: Dict[str, Callable[[], object]], setting: Setting) -> Dict[str, List[float]]:
    """Seconds per call of each step, ``repeats`` values each.

    The steps are timed in turns, so that a disturbance of the machine affects all of them.
    """
    for step in steps.values():  # warm-up
        step()
    times: Dict[str, List[float]] = {name: [] for name in steps}
    for _ in range(setting.repeats):
        for name, step in steps.items():
            times[name].append(seconds(step, setting.device))
    return times


def medians(times: Dict[str, List[float]]) -> Dict[str, float]:
    """Median of each list, rounded to five significant digits."""
    return {name: float(f'{statistics.median(values):.5g}') for name, values in times.items()}


# ------------------------------------------------------------------ the parts
def text_step(tuner: CoOp) -> Callable[[], object]:
    """Forward and backward of the text features."""
    weights = torch.randn(len(tuner.class_names), tuner.clip.embed_dim, device=tuner.clip.device)

    def step() -> None:
        tuner.zero_grad()
        (F.normalize(tuner.encode_text()['feature'], dim=-1) * weights).sum().backward()

    return step


def benchmark_text(setting: Setting) -> Dict[str, Any]:
    """CoOp's text step: seconds and peak memory, fast and plain."""
    fast = build_tuner(setting)
    some = plain_setting(setting, fast.clip)
    steps = {
        'text_fast_s': text_step(fast),
        'text_plain_s': text_step(build_tuner(some, PlainCoOp)),
    }
    times = medians(in_turns(steps, setting))
    with FlopCounterMode(display=False) as counter:
        steps['text_fast_s']()
    figures = dict(
        times,
        text_fast_peak_mb=peak_of_text_step(setting, CoOp),
        text_plain_peak_mb=peak_of_text_step(some, PlainCoOp),
    )
    for key in ('text_plain_s', 'text_plain_peak_mb'):
        figures[key] = ratio(figures[key] * setting.classes, some.classes)
    return dict(
        figures,
        text_plain_classes=some.classes,
        text_fast_flops=counter.get_total_flops(),
        text_step_speedup=ratio(figures['text_plain_s'], times['text_fast_s']),
        text_peak_memory_ratio=ratio(figures['text_fast_peak_mb'], figures['text_plain_peak_mb']),
    )


def peak_of_text_step(setting: Setting, kind: type) -> float:
    """Peak memory of a text step beyond the weights, in MB (10^6 bytes).

    On a GPU this is allocated memory, on a CPU the resident memory of a separate process.
    """
    if setting.device != 'cpu':
        step = text_step(build_tuner(setting, kind))
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step()
        return round((torch.cuda.max_memory_allocated() - before) / 1e6, 1)
    context = multiprocessing.get_context('spawn')
    with context.Pool(1) as pool:
        return pool.apply(_resident_peak, (setting, kind))


def _resident_peak(setting: Setting, kind: type) -> float:
    step = text_step(build_tuner(setting, kind))
    Path('/proc/self/clear_refs').write_text('5')  # Linux: the peak counts from here
    before = _resident_mb('VmRSS')
    step()
    return round(_resident_mb('VmHWM') - before, 1)


def _resident_mb(key: str) -> float:
    """Resident memory of this process, now (VmRSS) or at its peak (VmHWM)."""
    line = next(
        line for line in Path('/proc/self/status').read_text().splitlines() if line.startswith(key)
    )
    return int(line.split()[1]) * 1024 / 1e6


def training_step(
    model, inputs: Callable[[], object], samples: Sequence[DataSample]
) -> Callable[[], object]:
    """One step of SGD on the images or frozen features that ``inputs()`` returns."""
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], lr=1e-6, momentum=0.9
    )

    def step() -> None:
        terms = model(inputs(), samples, mode='loss')
        optimizer.zero_grad()
        sum(value for key, value in terms.items() if 'loss' in key).backward()
        optimizer.step()

    return step


def benchmark_stage1(setting: Setting) -> Dict[str, Any]:
    """Step of tuning CoOp: fast, from cached features, and plain, from images."""
    fast = build_tuner(setting)
    some = plain_setting(setting, fast.clip)
    plain = build_tuner(some, PlainCoOp)
    images, samples, _ = a_batch(some, fast.clip)
    cached = fast.extract_feat(images)
    times = medians(
        in_turns(
            dict(
                fast=training_step(fast, lambda: cached, samples),
                plain=training_step(plain, lambda: images, samples),
                images=lambda: fast.extract_feat(images),
            ),
            setting,
        )
    )
    text = times['plain'] - times['images']
    return speedup(
        'stage1', setting, times['fast'], times['images'] + text * setting.classes / some.classes
    )


def benchmark_stage2(setting: Setting) -> Dict[str, Any]:
    """Step of FVG-PT on CoOp: fast, from cached features, and plain, one pass per view and text."""
    fast, plain = build_fvgpt(setting), build_fvgpt(setting, PlainCoOp)
    clip = plain.tuner.clip
    images, samples, masks = a_batch(setting, clip)
    cached = fast.extract_feat(images, masks)

    def encode_all() -> FrozenFeatures:
        plain.tuner._text_cache.clear()
        # The plain implementation computes the original CLIP's features though they are the tuner's
        clip.encode_image(images)
        views = (images, plain.foreground_view(images, masks))
        full, foreground = (ViewFeatures(clip.encode_image(view)) for view in views)
        return FrozenFeatures(full, foreground, masks.mean((1, 2, 3)))

    times = medians(
        in_turns(
            dict(
                fast=training_step(fast, lambda: cached, samples),
                plain=training_step(plain, encode_all, samples),
            ),
            setting,
        )
    )
    return speedup('stage2', setting, times['fast'], times['plain'])


def build_fvgpt(setting: Setting, kind: type = CoOp) -> FVGPT:
    """FVG-PT on :func:`build_tuner`."""
    model = FVGPT(build_tuner(setting, kind), compare=False).to(setting.device)
    model.set_class_names(model.tuner.class_names)
    return model


def speedup(part: str, setting: Setting, fast: float, plain: float) -> Dict[str, Any]:
    """Seconds of both steps, their ratio plain / fast, and images per second of the fast one."""
    return {
        f'{part}_fast_s': fast,
        f'{part}_plain_s': ratio(plain, 1),
        f'{part}_speedup': ratio(plain, fast),
        f'{part}_fast_images_per_s': ratio(setting.batch_size, fast),
    }


def benchmark_inference(setting: Setting, batch_size: int = 32) -> Dict[str, Any]:
    """Seconds per batch of CLIP's image encoder alone and of FVG-PT's base and new branch.

    ``inference_overhead`` is that of the slower branch, relative to the encoder.
    """
    model = build_fvgpt(setting).eval()
    clip = model.tuner.clip
    images, *_ = a_batch(setting, clip, batch_size)

    def branch(name: str) -> Callable[[], object]:
        @torch.inference_mode()
        def predict() -> None:
            model.set_class_names(model.class_names, name)
            model(images)

        return predict

    @torch.inference_mode()
    def encode() -> None:
        clip.encode_image(images)

    times = medians(
        in_turns(
            dict(
                inference_clip_s=encode,
                inference_base_s=branch('base'),
                inference_new_s=branch('new'),
            ),
            setting,
        )
    )
    slowest = max(times['inference_base_s'], times['inference_new_s'])
    # torch 2.4 does not count FLOPs in inference mode
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        clip.encode_image(images)
    return dict(
        times,
        inference_overhead=round(slowest / times['inference_clip_s'] - 1, 4),
        inference_images_per_s=ratio(batch_size, slowest),
        inference_clip_flops=counter.get_total_flops(),
    )


# ------------------------------------------------------------------ the hardware
def hardware_limits(setting: Setting, size: int = 2048) -> Dict[str, Any]:
    """Measured limits of this machine.

    ``matmul_flop_per_s`` of a square matrix product in the towers' precision, ``copy_bytes_per_s``
    of a copy, bytes read and written.

    Args:
        setting: its device and precision are used.
        size: rows of the matrices.
    """
    precision = PRECISIONS[setting.precision] if setting.precision else torch.float32
    a, b = torch.randn(2, size, size, device=setting.device, dtype=precision)
    source = torch.empty(64 * 2**20, dtype=torch.float32, device=setting.device)
    target = torch.empty_like(source)
    times = medians(
        in_turns(dict(matmul=lambda: a @ b, copy=lambda: target.copy_(source)), setting)
    )
    return dict(
        matmul_flop_per_s=ratio(2 * size**3, times['matmul']),
        copy_bytes_per_s=ratio(2 * source.numel() * 4, times['copy']),
    )


def ratio(one: float, other: float) -> float:
    """one / other, rounded to four significant digits; NaN if ``other`` is 0."""
    return float(f'{one / other:.4g}') if other else float('nan')


BENCHMARKS = dict(
    text=benchmark_text,
    stage1=benchmark_stage1,
    stage2=benchmark_stage2,
    inference=benchmark_inference,
)


def run_benchmarks(parts: Sequence[str], setting: Setting) -> Dict[str, Any]:
    """Figures of the parts, which are keys of ``BENCHMARKS``, and of the hardware.

    ``*_flop_utilization`` is the share of the measured FLOP/s limit that the towers reach.
    """
    figures: Dict[str, Any] = dict(
        setting._asdict(),
        threads=torch.get_num_threads(),
        torch=str(torch.__version__),
        hardware=device_name(),
    )
    figures.update(hardware_limits(setting))
    for part in parts:
        figures.update(BENCHMARKS[part](setting))
    for flops, time_key, name in (
        ('text_fast_flops', 'text_fast_s', 'text_flop_utilization'),
        ('inference_clip_flops', 'inference_clip_s', 'image_flop_utilization'),
    ):
        if flops in figures:
            figures[name] = ratio(figures[flops] / figures[time_key], figures['matmul_flop_per_s'])
    if set(parts) == set(BENCHMARKS):
        figures['sixteen_shot_estimate_s'] = training_estimate(setting, figures)
    return figures


def training_estimate(setting: Setting, figures: Dict[str, Any]) -> float:
    """Estimated seconds of CoOp and FVG-PT with 16 images per class and 10 epochs each.

    It is computed from measured steps: three views of each image are encoded once (squashed;
    cropped, full and foreground), then both stages train on cached features.
    """
    images = SHOTS * setting.classes
    steps = EPOCHS * images / setting.batch_size
    encoding = 3 * images / figures['inference_images_per_s']
    return ratio(steps * (figures['stage1_fast_s'] + figures['stage2_fast_s']) + encoding, 1)
