"""Are a data set's masks what masks should be? A look at a few of them, before anything is trained."""

import logging
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

import numpy as np
from PIL import Image

from ..io.log_once import log_once
from .load_image import read_image

LOOKED_AT = 32  # masks of a data set, evenly spread
SUSPICIONS = dict(
    empty='have no foreground; foreground must be white (255, not 1)',
    full='are foreground all over',
    inverted='have more foreground at the border than inside, as inverted ones have; foreground must be white (255)',
    stretched='have another aspect ratio than their image; were images and masks turned or cut apart?',
)


def is_foreground(mask: Image.Image, threshold: float = 0.5) -> np.ndarray:
    """(H, W) bool of an RGB mask: where the mean of the channels is above ``threshold`` of white."""
    return np.asarray(mask).sum(-1, dtype=np.int64) > threshold * 3 * 255


def suspicion(foreground: np.ndarray, image_size: Tuple[int, int]) -> str:
    """What is wrong with a mask (H, W) of an image of (width, height): a key of ``SUSPICIONS``, or nothing."""
    height, width = foreground.shape
    if abs(width * image_size[1] - height * image_size[0]) > 0.05 * height * image_size[
        0
    ] + 2 * max(image_size):
        return 'stretched'
    if not foreground.any() or foreground.all():
        return 'full' if foreground.any() else 'empty'
    frame = np.ones_like(foreground)
    rim = max(1, min(height, width) // 20)
    frame[rim:-rim, rim:-rim] = False
    at_border = foreground[frame].mean()
    return 'inverted' if at_border > 0.5 and at_border > foreground[~frame].mean() + 0.02 else ''


def check_masks(root: str, pairs: Sequence[Tuple[Path, Path]]) -> None:
    """Warn where most masks are wrong in the same way; a few may well be: the gate is there to find them.

    Args:
        root: the data set's, for messages. pairs: image and mask of each sample.

    Raises:
        ValueError: a mask cannot be read; names it.
    """
    chosen = [
        pairs[i]
        for i in np.unique(
            np.linspace(0, len(pairs) - 1, min(LOOKED_AT, len(pairs))).round().astype(int)
        )
    ]
    found: Dict[str, List[Path]] = {}
    for image, mask in chosen:
        foreground = is_foreground(read_image(str(mask)))
        try:
            with Image.open(image) as opened:
                size = opened.size
        except (
            Exception
        ):  # decoders raise errors of a dozen kinds; the data set names images that cannot be read
            continue
        found.setdefault(suspicion(foreground, size), []).append(mask)
    for kind, meaning in SUSPICIONS.items():
        masks = found.get(kind, [])
        if 2 * len(masks) > len(chosen):
            log_once(
                f'{root}: {len(masks)} of {len(chosen)} foreground masks looked at, such as {masks[0]}, {meaning}',
                logging.WARNING,
            )
