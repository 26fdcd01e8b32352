"""GrabCut from a central prior and a saliency cue: no weights, nothing but OpenCV."""

from typing import List, Optional

import cv2
import numpy as np

from ..io.errors import UserError
from .base import SEGMENTERS, ForegroundSegmenter

_BORDER = 0.1  # strip at each side that is taken for background, share of the shorter side
_RING = 0.02  # outermost pixels that are background for certain
_LEVELS = (0.4, 0.6, 0.8)  # where foreground starts, in units of Otsu's threshold
_SATURATION = (
    0.95  # quantile at which contrast ends, so that a small bright spot does not dwarf the object
)
_SMALLEST_PART = 0.2  # share of the largest part below which a part is dropped
_NOTICEABLE = 1.0  # difference in Lab that an eye can see


@SEGMENTERS.register_module('grabcut')
class GrabCutSegmenter(ForegroundSegmenter):
    """GrabCut (Rother, Kolmogorov, Blake, SIGGRAPH 2004) that nobody has to draw a box for.

    Its start is the product of a Gaussian at the centre and of the contrast to the image's border
    (:func:`border_contrast`), cut at three levels below Otsu's threshold; the mask is the mean of the three results, so
    that it says where they disagree. Where nothing can be seen (a uniform image) or nothing comes out, the mask is the
    central prior, at most .75 anywhere: its confidence (:func:`~fvgpt.segmentation.mask_file.confidence`) is 0. The same
    image always gives the same mask.

    Args:
        side: images are made smaller until their longer side has this many pixels, their masks larger again.
        iterations: of GrabCut.
    """

    single_threaded = True

    def __init__(self, side: int = 192, iterations: int = 1):
        if side < 8 or iterations < 1:
            raise UserError(
                f'grabcut needs side >= 8 and iterations >= 1, not side={side}, iterations={iterations}'
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
        contrast = border_contrast(image)
        if contrast is None:
            return None
        start = _unit_range(
            _unit_range(contrast) * central_prior(image.shape[0], image.shape[1], sigma=0.5)
        )
        otsu = cv2.threshold((start * 255).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)[0] / 255
        mask = np.stack([self._cut(image, start, level * otsu) for level in _LEVELS]).mean(
            0, np.float32
        )
        found = mask > 0.5
        return drop_small_parts(mask) if found.any() and not found.all() else None

    def _cut(self, image: np.ndarray, start: np.ndarray, level: float) -> np.ndarray:
        labels = np.where(start > level, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
        labels[start > (1 + level) / 2] = cv2.GC_FGD
        ring = max(1, round(_RING * min(start.shape)))
        for strip in (labels[:ring], labels[-ring:], labels[:, :ring], labels[:, -ring:]):
            strip[:] = cv2.GC_BGD
        foreground = labels & 1  # GC_FGD and GC_PR_FGD are the odd ones
        if not foreground.any():
            return foreground
        cv2.setRNGSeed(0)  # the colour models start from k-means
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
    """Gaussian at the centre, 1 there, (H, W); ``sigma`` in units of the image's sides."""
    y, x = ((np.arange(n, dtype=np.float32) + 0.5) / n - 0.5 for n in (height, width))
    return np.exp(-(y[:, None] ** 2 + x[None] ** 2) / (2 * sigma**2))


def border_contrast(image: np.ndarray) -> Optional[np.ndarray]:
    """How much each pixel's colour differs from the colours at the image's four sides, (H, W).

    The Mahalanobis distance in Lab to the strip at each side, each scaled to [0, 1]; the largest of the four is left out,
    for the object may touch one side (the background cue of Zhang et al., Minimum Barrier Salient Object Detection at
    80 FPS, ICCV 2015; theirs does not saturate). None where no two pixels differ by a noticeable amount.
    """
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    if np.ptp(lab, axis=(0, 1)).max() < _NOTICEABLE:
        return None
    width = max(1, round(_BORDER * min(lab.shape[:2])))
    distances = []
    for strip in (lab[:width], lab[-width:], lab[:, :width], lab[:, -width:]):
        colours = strip.reshape(-1, 3)
        covariance = np.cov(colours.T, bias=True) + 4 * np.eye(
            3
        )  # a flat strip has none of its own
        difference = lab - colours.mean(0)
        square = np.einsum('hwi,ij,hwj->hw', difference, np.linalg.inv(covariance), difference)
        distance = np.sqrt(np.maximum(square, 0))
        distances.append(np.minimum(distance / max(np.quantile(distance, _SATURATION), 1e-6), 1))
    return (np.sum(distances, 0) - np.max(distances, 0)).astype(np.float32)


def drop_small_parts(mask: np.ndarray) -> np.ndarray:
    """``mask`` (H, W) without the connected parts (above .5) that are much smaller than the largest one."""
    _, parts, statistics, _ = cv2.connectedComponentsWithStats((mask > 0.5).astype(np.uint8))
    areas = statistics[:, cv2.CC_STAT_AREA]
    dropped = areas < _SMALLEST_PART * areas[1:].max()
    dropped[0] = False  # what lies around the parts
    return np.where(dropped[parts], np.float32(0), mask)


def _unit_range(values: np.ndarray) -> np.ndarray:
    values = values - values.min()
    return values / max(values.max(), 1e-6)
