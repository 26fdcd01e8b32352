"""Small pictures with known foreground."""

from typing import Tuple

import numpy as np
import pytest


def square_picture(
    height: int = 48, width: int = 64, colour=(220, 30, 30)
) -> Tuple[np.ndarray, np.ndarray]:
    """A red square on blue noise, (H, W, 3) uint8, and its mask (H, W) bool."""
    rng = np.random.default_rng(height * 1000 + width)
    image = np.stack(
        [
            rng.integers(20, 50, (height, width)),
            rng.integers(30, 60, (height, width)),
            rng.integers(150, 190, (height, width)),
        ],
        -1,
    ).astype(np.uint8)
    mask = np.zeros((height, width), bool)
    mask[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = True
    image[mask] = colour
    return image, mask


@pytest.fixture
def pictures():
    """Pictures of three sizes and their masks."""
    images, masks = zip(*[square_picture(*size) for size in ((48, 64), (90, 50), (64, 64))])
    return list(images), list(masks)
