"""Read image files of all colour modes as 8-bit RGB."""

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
    """Read an image file as RGB.

    The EXIF orientation is ignored, as in the public implementations. Grey, palette and CMYK images
    are converted, transparency is dropped, 16-bit values lose their lower 8 bits, and 32-bit values
    are scaled from their minimum and maximum to 0 and 255.

    Args:
        path: the file.
        reduce_to: decode JPEG files at 1/2, 1/4 or 1/8 of their size as long as both sides have at
            least this many pixels, which saves most of the decoding time of large photographs. None
            decodes all pixels.

    Raises:
        FileNotFoundError: the file does not exist.
        UserError: the file is empty, truncated, too large to be decoded safely, or not an image;
            names it.
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
    """Convert images with 16-bit or 32-bit values to 8 bits, see :func:`read_image`."""
    if image.mode.startswith('I;16'):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ('I', 'F'):
        levels = np.asarray(image, np.float64)
        levels = (levels - levels.min()) * (255 / max(np.ptp(levels), 1e-12))
        return Image.fromarray(levels.astype(np.uint8))
    return image


class FileState(NamedTuple):
    """Result of :func:`inspect_image`.

    Attributes:
        complete: the file is an image, and its end is not missing.
        rotated: the image has an EXIF orientation other than upright.
    """

    complete: bool
    rotated: bool


_END_MARKERS = dict(JPEG=b'\xff\xd9', PNG=b'IEND\xaeB`\x82')


@cache
def inspect_image(path: Path) -> FileState:
    """Check quickly whether an image file is complete; the result is cached per process.

    Reads the header and the last bytes. The image is decoded only if a JPEG or PNG file does not
    end with its end marker.
    """
    try:
        with Image.open(path) as image:
            marker = _END_MARKERS.get(image.format or '', b'')
            with open(path, 'rb') as file:
                file.seek(-len(marker), os.SEEK_END)
                if file.read() != marker and marker:  # truncated, or followed by camera data
                    image.load()
            rotated = image.format == 'JPEG' and image.getexif().get(ORIENTATION, 1) > 1
            return FileState(True, rotated)
    except Exception:  # the decoders raise many kinds of exceptions on broken files
        return FileState(False, False)


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Load the file ``img_path`` as ``img`` (H, W, 3) uint8 BGR, see :func:`read_image`.

    Args:
        reduce_to: decode large JPEG files at reduced size. With twice the input size or more the
            result of the test transform changes little (figures: ``benchmarks/README.md``). Cannot
            be used with masks, which have the full size.
    """

    def __init__(self, reduce_to: Optional[int] = None):
        if reduce_to is not None and reduce_to < 1:
            raise UserError(f'reduce_to must be at least 1 pixel, not {reduce_to}')
        self.reduce_to = reduce_to

    def transform(self, results: dict) -> dict:
        """Add ``img`` (H, W, 3) uint8 BGR with ``img_shape`` and ``ori_shape`` (H, W).

        An item that has ``img`` already passes as it is: mmpretrain's inferencers load images
        themselves, and remove only ``LoadImageFromFile`` from the pipeline.

        Raises:
            FileNotFoundError, UserError: see :func:`read_image`.
        """
        if 'img' in results:
            return results
        image = np.asarray(read_image(results['img_path'], self.reduce_to))[..., ::-1]
        results['img'] = np.ascontiguousarray(image)
        results['img_shape'] = results['ori_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(reduce_to={self.reduce_to})'
