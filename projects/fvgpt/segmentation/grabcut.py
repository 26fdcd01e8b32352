"""GrabCut, started from a central prior and a saliency cue. Needs OpenCV only, no weights."""

from typing import List, Optional

import cv2
import numpy as np

from ..io.errors import UserError
from .base import SEGMENTERS, ForegroundSegmenter

_BORDER = 0.1  # width of the strips that are assumed to be background, share of the shorter side
_RING = 0.02  # width of the outermost ring that is fixed as background, share of the shorter side
_LEVELS = (0.4, 0.6, 0.8)  # thresholds of the initial foreground, in units of Otsu's threshold
# quantile at which contrast saturates, so that a small bright spot does not dominate the object
_SATURATION = 0.95
_SMALLEST_PART = 0.2  # parts with a smaller share of the largest part are dropped
_NOTICEABLE = 1.0  # smallest visible difference in CIELAB


@SEGMENTERS.register_module('grabcut')
class GrabCutSegmenter(ForegroundSegmenter):
    """GrabCut (Rother, Kolmogorov, Blake, SIGGRAPH 2004) without a box drawn by a user.

    GrabCut starts from the product of a Gaussian at the image centre and the contrast to the image
    border (:func:`border_contrast`), thresholded at three levels below Otsu's threshold. The mask
    is the mean of the three results, so its values show where they disagree. If the image is
    uniform or nothing is found, the mask is the central prior with values of at most 0.75, whose
    confidence (:func:`~fvgpt.segmentation.mask_file.confidence`) is 0. The result is deterministic.

    Args:
        side: larger images are reduced to this length of the longer side, in pixels; masks are
            resized to the size of the image.
        iterations: number of iterations of GrabCut.
    """

    single_threaded = True

    def __init__(self, side: int = 192, iterations: int = 1):
        if side < 8 or iterations < 1:
            raise UserError(
                'grabcut needs side >= 8 and iterations >= 1, '
                f'not side={side}, iterations={iterations}'
            )
        self.side, self.iterations = side, iterations

    def segment(self, images: List[np.ndarray]) -> List[np.ndarray]:
        """See :meth:`~fvgpt.segmentation.ForegroundSegmenter.segment`; soft masks."""
        return [self._segment(image) for image in images]

    def _segment(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        scale = self.side / max(height, width)
        if scale < 1:
            size = max(1, round(width * scale)), max(1, round(height * scale))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        mask = self._mean_cut(image)
        if mask is None:
            mask = 0.75 * central_prior(image.shape[0], image.shape[1], sigma=0.4)
        return cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)

    def _mean_cut(self, image: np.ndarray) -> Optional[np.ndarray]:
        """Mean of the results (H, W) over the levels; None if nothing or everything is found."""
        contrast = border_contrast(image)
        if contrast is None:
            return None
        start = _unit_range(
            _unit_range(contrast) * central_prior(image.shape[0], image.shape[1], sigma=0.5)
        )
        otsu = cv2.threshold((start * 255).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)[0] / 255
        cuts = np.stack([self._cut(image, start, level * otsu) for level in _LEVELS])
        mask = cuts.mean(0, np.float32)
        found = mask > 0.5
        return drop_small_parts(mask) if found.any() and not found.all() else None

    def _cut(self, image: np.ndarray, start: np.ndarray, level: float) -> np.ndarray:
        """Result (H, W) in {0, 1}, with ``start`` above ``level`` as initial foreground."""
        labels = np.where(start > level, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
        labels[start > (1 + level) / 2] = cv2.GC_FGD
        ring = max(1, round(_RING * min(start.shape)))
        for strip in (labels[:ring], labels[-ring:], labels[:, :ring], labels[:, -ring:]):
            strip[:] = cv2.GC_BGD
        foreground = labels & 1  # GC_FGD and GC_PR_FGD are the odd ones
        if not foreground.any():
            return foreground
        cv2.setRNGSeed(0)  # the colour models are initialised by k-means
        cv2.grabCut(
            np.ascontiguousarray(image[..., ::-1]),
            labels,
            (0, 0, 0, 0),
            np.zeros((1, 65)),
            np.zeros((1, 65)),
            self.iterations,
            cv2.GC_INIT_WITH_MASK,
        )
        return labels & 1


def central_prior(height: int, width: int, sigma: float) -> np.ndarray:
    """Gaussian (H, W) with value 1 at the image centre.

    Args:
        height, width: size of the image in pixels.
        sigma: standard deviation as a share of the image's height and width.
    """
    y, x = ((np.arange(n, dtype=np.float32) + 0.5) / n - 0.5 for n in (height, width))
    return np.exp(-(y[:, None] ** 2 + x[None] ** 2) / (2 * sigma**2))


def border_contrast(image: np.ndarray) -> Optional[np.ndarray]:
    """Difference of each pixel's colour from the colours at the four sides of the image.

    For each side, the Mahalanobis distance in CIELAB to the strip at that side, scaled to [0, 1].
    The largest of the four distances is left out of the sum, because the object may touch one side.
    This is the background cue of Zhang et al. (Minimum Barrier Salient Object Detection at 80 FPS,
    ICCV 2015), with saturation added.

    Args:
        image: (H, W, 3) uint8, RGB.

    Returns:
        (H, W) float32; None if no two pixels differ visibly.
    """
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    if np.ptp(lab, axis=(0, 1)).max() < _NOTICEABLE:
        return None
    width = max(1, round(_BORDER * min(lab.shape[:2])))
    distances = []
    for strip in (lab[:width], lab[-width:], lab[:, :width], lab[:, -width:]):
        colours = strip.reshape(-1, 3)
        # the added diagonal makes the covariance of a uniform strip invertible
        covariance = np.cov(colours.T, bias=True) + 4 * np.eye(3)
        difference = lab - colours.mean(0)
        square = np.einsum('hwi,ij,hwj->hw', difference, np.linalg.inv(covariance), difference)
        distance = np.sqrt(np.maximum(square, 0))
        distances.append(np.minimum(distance / max(np.quantile(distance, _SATURATION), 1e-6), 1))
    return (np.sum(distances, 0) - np.max(distances, 0)).astype(np.float32)


def drop_small_parts(mask: np.ndarray) -> np.ndarray:
    """Set the small connected parts of a mask (H, W) to 0.

    A part is a connected area above 0.5. It is small if its area is below ``_SMALLEST_PART`` of the
    largest part's.
    """
    _, parts, statistics, _ = cv2.connectedComponentsWithStats((mask > 0.5).astype(np.uint8))
    areas = statistics[:, cv2.CC_STAT_AREA]
    dropped = areas < _SMALLEST_PART * areas[1:].max()
    dropped[0] = False  # label 0 is the background
    return np.where(dropped[parts], np.float32(0), mask)


def _unit_range(values: np.ndarray) -> np.ndarray:
    """Scale values linearly to [0, 1]."""
    values = values - values.min()
    return values / max(values.max(), 1e-6)
