"""Views of test images that show what a prediction rests on: the object or its background.

A test of a recipe names one: ``test_cfg.tests=[dict(subset='base'), dict(subset='base',
view='exchanged')]`` gives the columns ``base`` and ``base_exchanged``. Only such tests read masks.
"""

from typing import Any, Dict, List, Optional, Sequence, Tuple

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose
from PIL import Image

from ..io.errors import UserError
from ..registry import TRANSFORMS
from .remove_object import leaves_background, remove_object

VIEWS = dict(
    full='the full image',
    foreground="the object on CLIP's mean colour",
    foreground_black='the object on black',
    background='the background, the object filled in',
    exchanged='the object on the background of another image of another class',
    blurred='the object on its own background, blurred',
)
"""View -> what it shows. All of them are of the images whose mask is usable."""

MEAN_COLOUR = (104, 117, 123)
"""CLIP's mean colour, BGR; after normalisation it is 0 up to rounding."""

MIN_AREA = 0.02  # as the lower bound of the foreground gate (decision O2)
BLUR = 0.05  # standard deviation of the blur, as a share of the image's shorter side
_WHOLE_IMAGE = ('Load', 'Resize')  # steps with these prefixes do not crop


def step_name(step: Any) -> str:
    """Type of a pipeline step, a config or an object, without a scope such as ``mmpretrain.``."""
    kind = step['type'] if isinstance(step, dict) else type(step)
    return kind.split('.')[-1] if isinstance(kind, str) else kind.__name__


def with_mask(pipeline: Sequence[Any]) -> List[Any]:
    """A test pipeline that also loads the mask, as ``gt_seg_map``.

    The mask is loaded after the resizing steps, at the size of the resized image, because
    ResizeEdge does not resize masks. Cropping steps follow.
    """
    steps = list(pipeline)
    first = next(
        (i for i, step in enumerate(steps) if not step_name(step).startswith(_WHOLE_IMAGE)),
        len(steps),
    )
    return [*steps[:first], dict(type='LoadForegroundMask'), *steps[first:]]


def view_pipeline(pipeline: Sequence[Any], view: str) -> List[Any]:
    """A test pipeline that shows a view: its steps before packing are inside a ``ShowView``."""
    count = next(
        (i for i, step in enumerate(pipeline) if step_name(step).startswith('Pack')), len(pipeline)
    )
    show = dict(type='ShowView', view=view, transforms=with_mask(pipeline[:count]))
    return [show, *pipeline[count:]]


def usable(mask: np.ndarray) -> bool:
    """Whether all views of an image can be made from its mask (H, W) bool.

    It covers at least 2 % and less than 95 % of what the model sees of the image, and the object,
    dilated by 9 x 9 pixels, leaves some background.
    """
    return bool(mask.mean() >= MIN_AREA) and leaves_background(mask)


def paste(image: np.ndarray, mask: np.ndarray, background: np.ndarray) -> np.ndarray:
    """m x + (1 - m) B: the object of an image (H, W, 3) on a background (H, W, 3)."""
    return np.where(mask[..., None], image, background)


@TRANSFORMS.register_module()
class ShowView(BaseTransform):
    """Load an image and its mask by some steps, and show a view of it.

    It works on uint8 images, after the steps that resize and crop, and draws no random numbers. The
    background of ``exchanged`` is that of ``background_img_path`` with ``background_mask_path``,
    which the data set chooses for each image, loaded by the same steps; it is resized if it has
    another size.

    Args:
        view: a key of ``VIEWS``.
        transforms: steps that result in ``img`` (H, W, 3) uint8 BGR and ``gt_seg_map`` (H, W).
    """

    def __init__(self, view: str, transforms: Sequence[Any]):
        self.view, self.transforms = view, Compose(list(transforms))

    def transform(self, results: dict) -> dict:
        """Replace ``img`` by the view.

        Raises:
            UserError: the image is not uint8 after the steps, or its mask is not usable.
        """
        results = self.load(results)
        image, mask = results['img'], results['gt_seg_map'] > 0
        results['img'] = np.ascontiguousarray(self._show(image, mask, results))
        return results

    def load(self, results: dict) -> dict:
        """Apply the steps.

        Raises:
            UserError: a step skips the image or converts it from uint8.
        """
        loaded: Optional[dict] = self.transforms(results)
        image = None if loaded is None else loaded['img']
        if loaded is None or not isinstance(image, np.ndarray) or image.dtype != np.uint8:
            raise UserError(
                f'the test view {self.view!r} needs images of 8 bits before they are packed, but '
                f'the pipeline gives {getattr(image, "dtype", type(image).__name__)}; normalise in '
                'the data preprocessor'
            )
        return loaded

    def mask_of(self, image_path: str, mask_path: str) -> np.ndarray:
        """The mask (H, W) bool of the part of an image that the model sees.

        The image is not decoded if the pipeline loads it by ``LoadImage``.
        """
        with Image.open(image_path) as image:
            blank = np.zeros((image.height, image.width, 3), np.uint8)
        shape = blank.shape[:2]
        results = dict(img_path=image_path, mask_path=mask_path, img=blank)
        return self.load(dict(results, img_shape=shape, ori_shape=shape))['gt_seg_map'] > 0

    def _show(self, image: np.ndarray, mask: np.ndarray, results: dict) -> np.ndarray:
        if self.view == 'full':
            return image
        if self.view == 'foreground':
            return paste(image, mask, np.array(MEAN_COLOUR, np.uint8))
        if self.view == 'foreground_black':
            return paste(image, mask, np.zeros(3, np.uint8))
        if self.view == 'exchanged':
            return paste(image, mask, self._background_of_other(results, mask.shape))
        background = self._without_object(image, mask, results['img_path'])
        if self.view == 'background':
            return background
        blurred = cv2.GaussianBlur(background, (0, 0), BLUR * min(mask.shape))
        return paste(image, mask, blurred)

    def _background_of_other(self, results: Dict[str, Any], shape: Tuple[int, ...]) -> np.ndarray:
        path = results['background_img_path']
        other = self.load(dict(img_path=path, mask_path=results['background_mask_path']))
        background = self._without_object(other['img'], other['gt_seg_map'] > 0, path)
        if background.shape[:2] != shape:
            background = cv2.resize(background, shape[::-1], interpolation=cv2.INTER_AREA)
        return background

    @staticmethod
    def _without_object(image: np.ndarray, mask: np.ndarray, path: str) -> np.ndarray:
        background = remove_object(image, mask)
        if background is None:
            raise UserError(f'{path}: its mask leaves no background')
        return background

    def __repr__(self) -> str:
        return f'{type(self).__name__}(view={self.view}, {self.transforms})'
