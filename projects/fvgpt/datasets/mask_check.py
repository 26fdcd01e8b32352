"""Check a few masks of a data set for typical mistakes, before training starts."""

import logging
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from ..io.log_once import log_once
from .load_image import read_image

NUM_CHECKED = 32  # masks per data set, evenly spaced
# kind of mistake -> end of the warning
SUSPICIONS = dict(
    empty='have no foreground; foreground must be white (255, not 1)',
    full='are entirely foreground',
    inverted='have more foreground at the border than inside, as inverted masks have; '
    'foreground must be white (255)',
    stretched='have another aspect ratio than their image; '
    'were images and masks rotated or cropped differently?',
)


def is_foreground(mask: Image.Image, threshold: float = 0.5) -> np.ndarray:
    """Foreground (H, W) bool of an RGB mask: the channel mean is above ``threshold`` of white."""
    return np.asarray(mask).sum(-1, dtype=np.int64) > threshold * 3 * 255


class ClassMask(str):
    """Path of an RGB mask of class numbers R + 256 G, in which one class is the foreground.

    It is a path, so that whatever gives masks to other images (controls, exchanged backgrounds)
    keeps the class together with the file.

    Attributes:
        number: of the class.
    """

    number: int

    def __new__(cls, path: str, number: int = 0) -> 'ClassMask':
        mask = super().__new__(cls, path)
        mask.number = number
        return mask


def foreground_of(mask: Image.Image, path: str, threshold: float = 0.5) -> np.ndarray:
    """Foreground (H, W) bool of an RGB mask.

    Args:
        mask: content of the file, which may have been resized.
        path: the file; its type says whether it is a :class:`ClassMask`.
        threshold: of other masks, see :func:`is_foreground`.
    """
    if isinstance(path, ClassMask):
        pixels = np.asarray(mask).astype(np.int64)
        return pixels[..., 0] + 256 * pixels[..., 1] == path.number
    return is_foreground(mask, threshold)


def suspicion(foreground: np.ndarray, image_size: Tuple[int, int]) -> str:
    """Kind of mistake that a mask shows.

    Args:
        foreground: mask (H, W) bool.
        image_size: (width, height) of its image in pixels.

    Returns:
        A key of ``SUSPICIONS``, or ``''`` if nothing is wrong.
    """
    if _is_stretched(foreground, image_size):
        return 'stretched'
    if not foreground.any():
        return 'empty'
    if foreground.all():
        return 'full'
    height, width = foreground.shape
    border = np.ones_like(foreground)
    rim = max(1, min(height, width) // 20)
    border[rim:-rim, rim:-rim] = False
    at_border = foreground[border].mean()
    return 'inverted' if at_border > 0.5 and at_border > foreground[~border].mean() + 0.02 else ''


def _is_stretched(foreground: np.ndarray, image_size: Tuple[int, int]) -> bool:
    """Whether the aspect ratios of mask and image differ by more than 5 % and rounding."""
    height, width = foreground.shape
    image_width, image_height = image_size
    difference = abs(width * image_height - height * image_width)
    return difference > 0.05 * height * image_width + 2 * max(image_size)


def check_masks(root: str, pairs: Sequence[Tuple[Path, str]]) -> None:
    """Warn if most of the checked masks show the same mistake.

    A few wrong masks are normal, and the reliability gate is there to find them.

    Args:
        root: root of the data set, for the warning.
        pairs: image file and mask file of each sample.

    Raises:
        UserError: a mask cannot be read; names it.
    """
    number = min(NUM_CHECKED, len(pairs))
    chosen = np.unique(np.linspace(0, len(pairs) - 1, number).round().astype(int))
    found: Dict[str, List[str]] = {}
    for image, mask in (pairs[i] for i in chosen):
        foreground = foreground_of(read_image(mask), mask)
        size = _image_size(image)
        if size:
            found.setdefault(suspicion(foreground, size), []).append(mask)
    for kind, meaning in SUSPICIONS.items():
        masks = found.get(kind, [])
        if 2 * len(masks) > len(chosen):
            log_once(
                f'{root}: {len(masks)} of {len(chosen)} checked foreground masks, such as '
                f'{masks[0]}, {meaning}',
                logging.WARNING,
            )


def _image_size(path: Path) -> Optional[Tuple[int, int]]:
    """(width, height) of an image file; None if it cannot be read, which the data set reports."""
    try:
        with Image.open(path) as image:
            return image.size
    except Exception:  # the decoders raise many kinds of exceptions on broken files
        return None
