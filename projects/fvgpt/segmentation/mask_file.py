"""Read and write image and mask files; confidence and IoU of masks."""

import json
from pathlib import Path
from typing import Any, Dict, Tuple

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..datasets.load_image import eight_bit, read_image
from ..io.atomic_write import atomic_write
from ..io.errors import UserError

THRESHOLD = 0.5  # values above are foreground (RDBOOST_MASK_THRESH of the released configs)
_NOTE = 'fvgpt'  # key of the note in the metadata of a PNG file


def load_image(path: Path) -> np.ndarray:
    """Read an image as the training pipelines do, see :func:`~fvgpt.datasets.read_image`.

    Returns:
        (H, W, 3) uint8, RGB.
    """
    return np.array(read_image(str(path)))


def read_mask(path: Path) -> Tuple[np.ndarray, dict]:
    """Read a mask file.

    Returns:
        The mask (H, W) float32 in [0, 1], averaged over colour channels, and the note that
        :func:`write_mask` stored in it, empty if there is none.

    Raises:
        UserError: the file cannot be read as an image; names it.
    """
    try:
        with Image.open(path) as mask:
            mode = 'L' if mask.mode in ('1', 'L') else 'RGB'
            levels = np.asarray(eight_bit(mask).convert(mode), np.float32) / 255
            note = mask.info.get(_NOTE) or mask.info.get('comment', '')
    except Exception as error:  # the decoders raise many kinds of exceptions on broken files
        raise UserError(f'the mask {path} cannot be read as an image: {error}') from error
    try:
        note = dict(json.loads(note))
    except (TypeError, ValueError):
        note = {}  # metadata of another program
    return levels if levels.ndim == 2 else levels.mean(-1), note


def write_mask(path: Path, mask: np.ndarray, note: dict) -> None:
    """Write a mask file, completely or not at all.

    Args:
        path: file; its suffix decides the format.
        mask: (H, W) in [0, 1]; 1 is written as 255.
        note: JSON values to store in the file (PNG and JPEG only).

    Raises:
        WriteError: the file cannot be written.
    """
    picture = Image.fromarray((mask * 255).round().astype(np.uint8))
    kind = Image.registered_extensions()[path.suffix.lower()]
    text = json.dumps(note)
    info = PngInfo()
    info.add_text(_NOTE, text)
    options: Dict[str, Dict[str, Any]] = dict(
        PNG=dict(pnginfo=info), JPEG=dict(quality=95, comment=text), WEBP=dict(lossless=True)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        picture.save(partial, kind, **options.get(kind, {}))


def confidence(mask: np.ndarray) -> float:
    """Independence of a soft mask (H, W) from its threshold, in [0, 1].

    The IoU of the masks thresholded at 0.75 and at 0.25. This is the stability score of Segment
    Anything (Kirillov et al., ICCV 2023), applied to probabilities. 0 if nothing is found.
    """
    certain, possible = (mask > 0.75).sum(), (mask > 0.25).sum()
    return float(certain / possible) if possible else 0.0


def intersection_over_union(mask: np.ndarray, reference: np.ndarray) -> float:
    """IoU of two masks with values in [0, 1], thresholded at ``THRESHOLD``.

    Args:
        mask: (H, W).
        reference: any size; it is resized to (H, W) with NEAREST.

    Returns:
        The IoU in [0, 1]; 1 if both masks are empty.
    """
    if reference.shape != mask.shape:
        reference = np.asarray(
            Image.fromarray(reference).resize(mask.shape[::-1], Image.Resampling.NEAREST)
        )
    found, wanted = mask > THRESHOLD, reference > THRESHOLD
    union = (found | wanted).sum()
    return float((found & wanted).sum() / union) if union else 1.0
