"""A contact sheet: one picture with thumbnails of many images and their masks."""

from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np
from PIL import Image, ImageDraw

from ..io.atomic_write import atomic_write
from .mask_file import load_image, read_mask

_TILE = 160  # pixels, side of a thumbnail
_TEXT = 28  # pixels, height of a line of text
_COLUMNS = 8  # thumbnails per row
_BACKGROUND_TINT = np.array((200, 30, 120), np.float32)  # RGB


def overlay(image: np.ndarray, mask: np.ndarray) -> Image.Image:
    """Thumbnail of an image with its background dimmed and tinted.

    Args:
        image: (H, W, 3) uint8.
        mask: foreground probability in [0, 1], of any size.

    Returns:
        A picture of at most ``_TILE`` x ``_TILE`` pixels.
    """
    thumbnail = Image.fromarray(image)
    thumbnail.thumbnail((_TILE, _TILE))
    resized = Image.fromarray(mask).resize(thumbnail.size, Image.Resampling.BILINEAR)
    weight = np.asarray(resized)[..., None]
    pixels = np.asarray(thumbnail, np.float32)
    background = 0.4 * pixels + 0.25 * _BACKGROUND_TINT
    return Image.fromarray((weight * pixels + (1 - weight) * background).astype(np.uint8))


def draw_contact_sheet(path: Path, sections: Dict[str, List[Tuple[Path, Path, List[str]]]]) -> None:
    """Write a contact sheet as a PNG file.

    Args:
        path: file to write.
        sections: title -> (image file, mask file, lines of the caption) of each thumbnail.
    """
    rows = [-(-len(tiles) // _COLUMNS) for tiles in sections.values()]
    height = sum(_TEXT + n * (_TILE + _TEXT) for n in rows)
    sheet = Image.new('RGB', (_COLUMNS * _TILE, height), 'white')
    draw = ImageDraw.Draw(sheet)
    top = 0
    for (title, tiles), n in zip(sections.items(), rows):
        draw.text((4, top + 8), title, 'black')
        for number, (image, mask, caption) in enumerate(tiles):
            row, column = divmod(number, _COLUMNS)
            left, y = column * _TILE, top + _TEXT + row * (_TILE + _TEXT)
            try:
                sheet.paste(overlay(load_image(image), read_mask(mask)[0]), (left, y))
            except ValueError:  # the mask was made before, and the image cannot be read any more
                draw.text((left + 4, y + 4), 'unreadable', 'black')
            draw.text((left + 2, y + _TILE + 1), '\n'.join(caption), 'black', font_size=9)
        top += _TEXT + n * (_TILE + _TEXT)
    with atomic_write(path) as partial:
        sheet.save(partial, 'PNG')
