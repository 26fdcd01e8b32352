"""The embedded synthetic image set with exact foreground masks, and its few-shot task.

Each image shows one object, a composition of three attributes (pattern, colour, shape, such as
"striped red star"), on one of ten textured backgrounds, with clutter, a smaller distractor object,
blur and noise, in one of four lights. 40 of the 400 compositions are the classes of the task (20
base, 20 new). The CLIP that is distributed with the project is pretrained on the other 360 only, so
both halves of the task are unseen combinations of known words. All images of the task are in lamp
light, which shifts every colour and which the prompt "a photo of a ..." does not mention. This is
what prompt tuning can learn.

:func:`write_world` writes the task as image files, mask files and a few-shot split file in the
public layout, so that the rest of the code reads it like any other data set.
"""

import json
import shutil
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

import cv2
import numpy as np
from filelock import FileLock
from tqdm import tqdm

from ..io.atomic_write import atomic_write
from ..io.errors import UserError, WriteError
from .scene import (
    ALL_COMPOSITIONS,
    BACKGROUNDS,
    COLOURS,
    LIGHTS,
    PATTERNS,
    SHAPES,
    SIZE,
    Composition,
    render,
)

WORLD_VERSION = 1  # increase if the pixels or the task change: existing images are then drawn again

TASK_LIGHT = 'in lamp light'
MASK_QUALITIES = ('exact', 'eroded', 'shifted', 'wrong', 'missing')


def _draw_task() -> Tuple[Composition, ...]:
    # Each colour and each shape occurs four times and each pattern ten times,
    # so that no attribute is rare in the task.
    rng = np.random.default_rng(20)
    patterns, colours, shapes = PATTERNS * 10, tuple(COLOURS) * 4, tuple(SHAPES) * 4
    while True:
        task = [
            Composition(p, c, s)
            for p, c, s in zip(
                rng.permutation(patterns).tolist(),
                rng.permutation(colours).tolist(),
                rng.permutation(shapes).tolist(),
            )
        ]
        if len(set(task)) == len(task):
            return tuple(task)


TASK = _draw_task()  # the position is the label; the first half are the base classes
PRETRAINING = tuple(c for c in ALL_COMPOSITIONS if c not in set(TASK))


def degrade_mask(rng: np.random.Generator, mask: np.ndarray, quality: str) -> Optional[np.ndarray]:
    """Add a typical error of segmenters to an exact mask.

    Args:
        rng: source of randomness.
        mask: (64, 64) bool.
        quality: ``exact``; ``eroded`` (a border is removed); ``shifted`` (by 5 to 12 pixels);
            ``wrong`` (a random rectangle instead of the object); ``missing``.

    Returns:
        (64, 64) bool, or None for ``missing``.
    """
    if quality == 'exact':
        return mask
    if quality == 'eroded':
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
        return cv2.erode(mask.astype(np.uint8), kernel).astype(bool)
    if quality == 'shifted':
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(5, 12)
        matrix = np.array(
            [[1, 0, distance * np.cos(angle)], [0, 1, distance * np.sin(angle)]], np.float32
        )
        return cv2.warpAffine(
            mask.astype(np.uint8), matrix, mask.shape[::-1], flags=cv2.INTER_NEAREST
        ).astype(bool)
    if quality == 'wrong':
        height, width = rng.integers(12, 40, 2)
        top, left = rng.integers(SIZE - height), rng.integers(SIZE - width)
        wrong = np.zeros_like(mask)
        wrong[top : top + height, left : left + width] = True
        return wrong
    if quality == 'missing':
        return None
    raise UserError(f'mask_quality {quality!r} is unknown; choose from {", ".join(MASK_QUALITIES)}')


# ------------------------------------------------------------------ pretraining
_WITH = dict(striped='with stripes', spotted='with spots', checkered='with checks', plain='')
_CAPTIONS = (
    '{0}',
    '{0}.',
    'a photo of {0}',
    'a photo of {0}.',
    'a picture of {0}',
    'there is {0} here',
    'an image of {0}.',
    'a photo of one {1}',
)


def caption(rng: np.random.Generator, what: Composition, background: str, light: str) -> str:
    """Caption for pretraining, as a person might write it.

    Each attribute is sometimes left out, the background is named in half of the captions, and the
    light in 60 % of them (10 % in daylight).
    """
    colour = what.colour if rng.random() < 0.9 else ''
    pattern = what.pattern if rng.random() < 0.85 else ''
    shape = what.shape if rng.random() < 0.93 else 'thing'
    order = rng.random()
    if order < 0.25:
        words = (colour, shape, _WITH.get(pattern, ''))
    else:
        words = (pattern, colour, shape) if order < 0.8 else (colour, pattern, shape)
    thing = ' '.join(filter(None, words))
    article = 'an' if thing[0] in 'aeiou' else 'a'
    if rng.random() < 0.5:
        thing += ' ' + background
    if rng.random() < (0.1 if light == 'in daylight' else 0.6):
        thing += ' ' + light
    return _CAPTIONS[rng.integers(len(_CAPTIONS))].format(f'{article} {thing}', thing)


def pretraining_pair(seed: int, index: int) -> Tuple[np.ndarray, str, int]:
    """Draw one image with caption for pretraining. It shows no composition of the task.

    Args:
        seed: seed of the pretraining data.
        index: index of the sample.

    Returns:
        Image (64, 64, 3) uint8 RGB, caption, and index of its composition in ``PRETRAINING``.
    """
    rng = np.random.default_rng([1, seed, index])
    which = int(rng.integers(len(PRETRAINING)))
    background = list(BACKGROUNDS)[rng.integers(len(BACKGROUNDS))]
    light = list(LIGHTS)[rng.choice(len(LIGHTS), p=(0.55, 0.15, 0.15, 0.15))]
    image, _ = render(rng, PRETRAINING[which], background, light, PRETRAINING)
    return image, caption(rng, PRETRAINING[which], background, light), which


# ------------------------------------------------------------------ the task on disk
def task_samples(
    split: str, per_class: int, background_correlation: float, mask_quality: str
) -> Iterator[Tuple[int, np.ndarray, Optional[np.ndarray]]]:
    """Yield (label, image, mask) of each sample of a split, class by class.

    Args:
        split: ``train`` or ``test``.
        per_class: images per class.
        background_correlation: probability that a training image has the background that belongs
            to its class. Test images have it by chance only.
        mask_quality: one of ``MASK_QUALITIES``, of training masks. Test masks, which only an
            analysis reads, are exact, or missing for ``missing``.
    """
    if split == 'test' and mask_quality != 'missing':
        mask_quality = 'exact'
    phrases = list(BACKGROUNDS)
    for label, what in enumerate(TASK):
        for index in range(per_class):
            rng = np.random.default_rng([2, ('train', 'test').index(split), label, index])
            background = phrases[rng.integers(len(phrases))]
            if split == 'train' and rng.random() < background_correlation:
                background = phrases[label % len(phrases)]
            image, mask = render(rng, what, background, TASK_LIGHT)
            # a separate generator, so that the images do not depend on the mask quality
            mask_rng = np.random.default_rng([3, label, index])
            yield label, image, degrade_mask(mask_rng, mask, mask_quality)


def write_world(
    root: str,
    train_per_class: int = 16,
    test_per_class: int = 50,
    background_correlation: float = 0.7,
    mask_quality: str = 'exact',
) -> Path:
    """Write the task to ``root`` unless it exists there with the same settings.

    The layout is that of the public few-shot data sets, with masks as in the released archives::

        root/quickstart_world/images/<class>/train_0001.png
        root/quickstart_world/split_quickstart_world.json
        root/mask/quickstart_world/images/<class>/train_0001.png

    Args:
        root: data root; created if it does not exist.
        train_per_class: training images per class, from which few-shot subsets are drawn.
        test_per_class: test images per class.
        background_correlation: see :func:`task_samples`.
        mask_quality: one of ``MASK_QUALITIES``.

    Returns:
        The path of the split file.

    Raises:
        UserError: ``mask_quality`` is unknown.
        WriteError: a file cannot be written.
    """
    if mask_quality not in MASK_QUALITIES:
        raise UserError(
            f'mask_quality {mask_quality!r} is unknown; choose from {", ".join(MASK_QUALITIES)}'
        )
    folder = Path(root).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(
        folder / '.quickstart_world.lock'
    ):  # runs that start at the same time draw it once
        return _write_world(
            folder, train_per_class, test_per_class, background_correlation, mask_quality
        )


def _write_world(
    root: Path,
    train_per_class: int,
    test_per_class: int,
    background_correlation: float,
    mask_quality: str,
) -> Path:
    settings = dict(
        version=WORLD_VERSION,
        train_per_class=train_per_class,
        test_per_class=test_per_class,
        background_correlation=background_correlation,
        mask_quality=mask_quality,
    )
    split_file = root / 'quickstart_world' / 'split_quickstart_world.json'
    if _is_written(split_file, settings):
        return split_file
    split_file.unlink(missing_ok=True)
    for part in ('quickstart_world', 'mask/quickstart_world'):
        shutil.rmtree(root / part, ignore_errors=True)
    items: Dict[str, List[Tuple[str, int, str]]] = dict(train=[], val=[], test=[])
    for split, per_class in (('train', train_per_class), ('test', test_per_class)):
        total = per_class * len(TASK)
        print(f'drawing {total} {split} images in {root}')
        samples = task_samples(split, per_class, background_correlation, mask_quality)
        for number, sample in enumerate(tqdm(samples, total=total, disable=None)):
            label, image, mask = sample
            name = TASK[label].name
            path = f'{name.replace(" ", "_")}/{split}_{number % per_class + 1:04d}.png'
            _write_png(root / 'quickstart_world' / 'images' / path, image[..., ::-1])
            if mask is not None:
                file = root / 'mask' / 'quickstart_world' / 'images' / path
                _write_png(file, mask.astype(np.uint8) * 255)
            items[split].append((path, label, name))
    with atomic_write(split_file) as partial:
        partial.write_text(json.dumps(dict(settings=settings, **items)))
    return split_file


def _is_written(split_file: Path, settings: dict) -> bool:
    """Whether the task was written completely with these settings.

    The split file is written last, so it does not exist if a writer was killed.
    """
    try:
        return json.loads(split_file.read_text())['settings'] == settings
    except (OSError, ValueError, KeyError):
        return False


def _write_png(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), pixels):
        raise WriteError(f'{path} cannot be written')
