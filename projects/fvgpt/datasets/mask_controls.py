"""Masks of other images for training: the control that tells what true masks are worth."""

from typing import List

from ..io.errors import UserError
from .load_image import read_image
from .mask_check import foreground_of
from .other_images import area_matched, shuffled

MASK_OF = ('own', 'shuffled', 'area_matched')


def exchange_masks(data_list: List[dict], mask_of: str, seed: int, root: str) -> None:
    """Give every image the mask of another image of the list, in place.

    Each mask is used once. Images without a mask stay without one.

    Args:
        data_list: dicts with ``gt_label`` and ``mask_path``.
        mask_of: ``shuffled``: of a random image of another class, see
            :func:`~fvgpt.datasets.other_images.shuffled`; ``area_matched``: of an image whose mask
            has nearly the same share of foreground, see
            :func:`~fvgpt.datasets.other_images.area_matched`.
        seed: of the shuffle.
        root: of the data set, for the message.

    Raises:
        UserError: fewer than two images have a mask.
    """
    with_mask = [info for info in data_list if info['mask_path'] is not None]
    if len(with_mask) < 2:
        raise UserError(
            f'{root}: mask_of={mask_of!r} needs masks of at least two images, but {len(with_mask)} '
            f'of {len(data_list)} have one; to make them: tools/generate_foreground.py'
        )
    masks = [info['mask_path'] for info in with_mask]
    if mask_of == 'shuffled':
        other = shuffled([info['gt_label'] for info in with_mask], seed)
    else:
        other = area_matched([_area(mask) for mask in masks])
    for info, index in zip(with_mask, other):
        info['mask_path'] = masks[index]


def _area(mask: str) -> float:
    """Foreground share of a mask file."""
    return float(foreground_of(read_image(mask), mask).mean())
