"""Fill in the object of an image, which leaves its background."""

from typing import Optional

import cv2
import numpy as np

MAX_AREA = 0.95  # a larger object leaves too little background to fill in from
DILATION = 9  # pixels; a mask's outline is inexact, and shadows lie beside it
RADIUS = 3  # pixels that each filled pixel is computed from


def remove_object(image: np.ndarray, mask: np.ndarray) -> Optional[np.ndarray]:
    """Replace the object, dilated by 9 x 9 pixels, by what its surroundings suggest.

    The object is inpainted by the method of Telea (2004, OpenCV) in an image of half the side
    length, which takes a quarter of the time, and the filled pixels are scaled back. Pixels outside
    the dilated mask do not change, and no pixel of the result depends on a pixel inside it.

    Args:
        image: (H, W, 3) uint8, in any order of the channels.
        mask: (H, W) bool, the object.

    Returns:
        (H, W, 3) uint8, a new array; None if the mask covers 95 % of the image or more, or if the
        dilated mask leaves no background.

    Raises:
        ValueError: image and mask have different sizes.
    """
    if mask.shape != image.shape[:2]:
        raise ValueError(f'the image is {image.shape[:2]}, its mask {mask.shape} pixels large')
    if mask.mean() >= MAX_AREA:
        return None
    hidden = cv2.dilate(mask.astype(np.uint8), np.ones((DILATION, DILATION), np.uint8))
    height, width = hidden.shape
    half = max(2, width // 2), max(2, height // 2)  # cv2.inpaint needs two pixels
    # A small pixel is hidden if any part of it is.
    small_hidden = cv2.resize(hidden.astype(np.float32), half, interpolation=cv2.INTER_AREA) > 0
    if small_hidden.all():
        return None
    small = cv2.resize(image, half, interpolation=cv2.INTER_AREA)
    small[small_hidden] = 0
    filled = cv2.inpaint(small, small_hidden.astype(np.uint8), RADIUS, cv2.INPAINT_TELEA)
    filled = cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.where(hidden[..., None] > 0, filled, image)
