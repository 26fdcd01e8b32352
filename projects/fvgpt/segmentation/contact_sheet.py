"""A picture of many small pictures: images with their masks laid over."""

from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np
from PIL import Image, ImageDraw

from ..io.atomic_write import atomic_write
from .mask_file import load_image, read_mask

_TILE, _TEXT, _COLUMNS = 160, 28, 8  # pixels, pixels, tiles a row
_OUTSIDE = np.array((200, 30, 120), np.float32)  # colour that background is tinted with


def overlay(image: np.ndarray, mask: np.ndarray) -> Image.Image:
    """``image`` (H, W, 3) uint8 with its background dimmed and tinted, at most a tile large; mask of any size, in [0, 1]."""
    picture = Image.fromarray(image)
    picture.thumbnail((_TILE, _TILE))
    weight = np.asarray(Image.fromarray(mask).resize(picture.size, Image.Resampling.BILINEAR))[
        ..., None
    ]
    pixels = np.asarray(picture, np.float32)
    return Image.fromarray(
        (weight * pixels + (1 - weight) * (0.4 * pixels + 0.25 * _OUTSIDE)).astype(np.uint8)
    )


def draw_contact_sheet(path: Path, sections: Dict[str, List[Tuple[Path, Path, List[str]]]]) -> None:
    """Write one picture with a section a title, each with tiles of (image file, mask file, caption lines)."""
    rows = [-(-len(tiles) // _COLUMNS) for tiles in sections.values()]
    sheet = Image.new(
        'RGB', (_COLUMNS * _TILE, sum(_TEXT + n * (_TILE + _TEXT) for n in rows)), 'white'
    )
    draw = ImageDraw.Draw(sheet)
    top = 0
    for (title, tiles), n in zip(sections.items(), rows):
        draw.text((4, top + 8), title, 'black')
        for number, (image, mask, caption) in enumerate(tiles):
            left = number % _COLUMNS * _TILE
            y = top + _TEXT + number // _COLUMNS * (_TILE + _TEXT)
            try:
                sheet.paste(overlay(load_image(image), read_mask(mask)[0]), (left, y))
            except ValueError:  # a mask that was there, of an image that cannot be read
                draw.text((left + 4, y + 4), 'unreadable', 'black')
            draw.text((left + 2, y + _TILE + 1), '\n'.join(caption), 'black', font_size=9)
        top += _TEXT + n * (_TILE + _TEXT)
    with atomic_write(path) as partial:
        sheet.save(partial, 'PNG')
