"""Images and masks as files, and what a mask says about itself."""

import json
from pathlib import Path
from typing import Any, Dict, Tuple

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..datasets.load_image import eight_bit, read_image
from ..io.atomic_write import atomic_write
from ..io.errors import UserError

THRESHOLD = 0.5  # what lies above is foreground (RDBOOST_MASK_THRESH of the released configs)
_NOTE = 'fvgpt'  # key of the note in a PNG file


def load_image(path: Path) -> np.ndarray:
    """The image as the training pipelines read it, (H, W, 3) uint8 RGB; see :func:`~fvgpt.datasets.read_image`."""
    return np.array(read_image(str(path)))


def read_mask(path: Path) -> Tuple[np.ndarray, dict]:
    """A mask file as (H, W) float32 in [0, 1], colours averaged, and the note of who made it, empty where there is none.

    Raises:
        ValueError: the file cannot be read as an image; names it.
    """
    try:
        with Image.open(path) as mask:
            levels = (
                np.asarray(
                    eight_bit(mask).convert('L' if mask.mode in ('1', 'L') else 'RGB'), np.float32
                )
                / 255
            )
            note = mask.info.get(_NOTE) or mask.info.get('comment', '')
    except Exception as error:  # decoders raise errors of a dozen kinds
        raise UserError(f'the mask {path} cannot be read as an image: {error}') from error
    try:
        note = dict(json.loads(note))
    except (TypeError, ValueError):
        note = {}  # of somebody else's making
    return levels if levels.ndim == 2 else levels.mean(-1), note


def write_mask(path: Path, mask: np.ndarray, note: dict) -> None:
    """Write a mask (H, W) in [0, 1], whole or not at all, in the format that the suffix says; 255 is foreground.

    PNG and JPEG files carry the note.
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
    """How little a soft mask (H, W) depends on its threshold, in [0, 1]: the IoU of the masks cut at .75 and at .25.

    This is the stability score of Segment Anything (Kirillov et al., ICCV 2023) on probabilities; 0 where nothing is found.
    """
    certain, possible = (mask > 0.75).sum(), (mask > 0.25).sum()
    return float(certain / possible) if possible else 0.0


def intersection_over_union(mask: np.ndarray, reference: np.ndarray) -> float:
    """IoU of two masks in [0, 1], cut at ``THRESHOLD``; the reference takes the mask's size; two empty masks agree."""
    if reference.shape != mask.shape:
        reference = np.asarray(
            Image.fromarray(reference).resize(mask.shape[::-1], Image.Resampling.NEAREST)
        )
    found, wanted = mask > THRESHOLD, reference > THRESHOLD
    union = (found | wanted).sum()
    return float((found & wanted).sum() / union) if union else 1.0
