"""Reading image files of every kind as eight-bit colour."""

import os
from functools import cache
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image, UnidentifiedImageError

from ..io.errors import UserError
from ..registry import TRANSFORMS

ORIENTATION = 0x0112  # EXIF tag; 1 is upright


def read_image(path: str, reduce_to: Optional[int] = None) -> Image.Image:
    """An image file as RGB, in the frame it is stored in (EXIF orientation is ignored, as the public implementations do).

    Grey, palette and CMYK images are converted, transparency is dropped, 16-bit values lose their lower eight bits, values of
    32 bits are spread from the least to the largest.

    Args:
        path: of the file.
        reduce_to: JPEG files are decoded at 1/2, 1/4 or 1/8 of their size as long as both sides stay at least this many
            pixels, which saves most of the decoding of large photographs. None decodes all pixels.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is empty, cut off, too large to be decoded safely, or no image; names it.
    """
    try:
        with Image.open(path) as image:
            if reduce_to is not None:
                image.draft('RGB', (reduce_to, reduce_to))
            return eight_bit(image).convert('RGB')
    except FileNotFoundError:
        raise
    except (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    ) as error:
        raise UserError(f'{path} cannot be read as an image: {error}') from error


def eight_bit(image: Image.Image) -> Image.Image:
    """An image whose values have eight bits, see :func:`read_image`."""
    if image.mode.startswith('I;16'):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ('I', 'F'):
        levels = np.asarray(image, np.float64)
        levels = (levels - levels.min()) * (255 / max(np.ptp(levels), 1e-12))
        return Image.fromarray(levels.astype(np.uint8))
    return image


class Glance(NamedTuple):
    """whole: whether a file is an image, as far as its beginning and end tell. turned: whether it carries an orientation."""

    whole: bool
    turned: bool


_ENDS = dict(JPEG=b'\xff\xd9', PNG=b'IEND\xaeB`\x82')


@cache
def glance(path: Path) -> Glance:
    """A look at an image file that decodes it only where a JPEG or PNG does not end as such; once a process."""
    try:
        with Image.open(path) as image:
            end = _ENDS.get(image.format or '', b'')
            with open(path, 'rb') as file:
                file.seek(-len(end), os.SEEK_END)
                if file.read() != end and end:  # cut off, or something of the camera's own follows
                    image.load()
            return Glance(True, image.format == 'JPEG' and image.getexif().get(ORIENTATION, 1) > 1)
    except Exception:  # decoders raise errors of a dozen kinds
        return Glance(False, False)


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Load ``img_path`` as ``img`` (H, W, 3), BGR, as the following steps and the preprocessor expect; see :func:`read_image`.

    Args:
        reduce_to: decode large JPEG files at reduced size. With twice the input size or more the test transform changes
            little (``benchmarks/README.md`` has the figures); masks, which are as large as their images, do not fit then.
    """

    def __init__(self, reduce_to: Optional[int] = None):
        if reduce_to is not None and reduce_to < 1:
            raise UserError(f'reduce_to must be at least 1 pixel, not {reduce_to}')
        self.reduce_to = reduce_to

    def transform(self, results: dict) -> dict:
        """Add ``img`` (H, W, 3) uint8 BGR and its sizes.

        Raises:
            FileNotFoundError, ValueError: see :func:`read_image`.
        """
        image = np.asarray(read_image(results['img_path'], self.reduce_to))[..., ::-1]
        results['img'] = np.ascontiguousarray(image)
        results['img_shape'] = results['ori_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(reduce_to={self.reduce_to})'
