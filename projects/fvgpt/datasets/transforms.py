"""Transforms that change an image and its foreground mask together.

The mask is ``gt_seg_map`` (H, W) uint8 in {0, 1} in the results dict, so the geometric transforms
of mmcv (Resize, RandomFlip, CenterCrop, Pad, ...) change it together with the image.
"""

from typing import Optional, Sequence, Tuple, Union

import mmcv
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmpretrain.datasets.transforms import PackInputs
from PIL import Image
from torchvision.transforms import RandomResizedCrop

from ..io.errors import UserError
from ..registry import TRANSFORMS
from .load_image import read_image
from .mask_check import foreground_of


@TRANSFORMS.register_module()
class LoadForegroundMask(BaseTransform):
    """Load the file ``mask_path`` as ``gt_seg_map``, in the size of the image.

    A mask of another size is resized with NEAREST. Colour channels are averaged, then values above
    the threshold are foreground, which removes JPEG noise. If ``mask_path`` is None (a missing
    mask), the whole image is foreground. In a mask of class numbers one class is foreground, see
    :class:`~fvgpt.datasets.mask_check.ClassMask`.

    Args:
        threshold: in [0, 1] (RDBOOST_MASK_THRESH of the released configs).
    """

    def __init__(self, threshold: float = 0.5):
        self.threshold = threshold

    def transform(self, results: dict) -> dict:
        """Add ``gt_seg_map`` (H, W) uint8 in {0, 1}.

        Raises:
            UserError: the results have no ``mask_path`` because the data set has no masks, or the
                file is not an image; names the file.
        """
        height, width = results['img'].shape[:2]
        if 'mask_path' not in results:
            raise UserError(
                f'{results.get("img_path")} has no mask_path: set mask_root of the data set; a '
                'data set of mmpretrain gets one from FewShotWrapper'
            )
        path: Optional[str] = results['mask_path']
        if path is None:
            results['gt_seg_map'] = np.ones((height, width), np.uint8)
            return results
        mask = read_image(path)
        if mask.size != (width, height):
            mask = mask.resize((width, height), Image.Resampling.NEAREST)
        results['gt_seg_map'] = foreground_of(mask, path, self.threshold).astype(np.uint8)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(threshold={self.threshold})'


@TRANSFORMS.register_module()
class PairedRandomResizedCrop(BaseTransform):
    """torchvision's RandomResizedCrop, the same crop for image (PIL bicubic) and mask (NEAREST).

    Args:
        scale: (height, width) of the output, or one number for both.
        area: range of the crop's area as a share of the image's area.
        ratio: range of the crop's aspect ratio.
    """

    def __init__(
        self,
        scale: Union[int, Tuple[int, int]],
        area: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
    ):
        self.scale = (scale, scale) if isinstance(scale, int) else tuple(scale)
        self.area, self.ratio = list(area), list(ratio)

    def transform(self, results: dict) -> dict:
        """Crop ``img`` and, if there is one, ``gt_seg_map`` at the same random place."""
        # get_params reads the size of the image only
        image = torch.empty((3, *results['img'].shape[:2]), device='meta')
        crop = RandomResizedCrop.get_params(image, self.area, self.ratio)
        return self.apply(results, crop)

    def apply(self, results: dict, crop: Tuple[int, int, int, int]) -> dict:
        """Crop image and mask to (top, left, height, width) in pixels and resize both."""
        top, left, height, width = crop
        for key, interpolation in (('img', 'bicubic'), ('gt_seg_map', 'nearest')):
            if results.get(key) is not None:
                window = np.ascontiguousarray(results[key][top : top + height, left : left + width])
                results[key] = mmcv.imresize(
                    window, self.scale[::-1], interpolation=interpolation, backend='pillow'
                )
        results['img_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scale={self.scale}, area={self.area}, ratio={self.ratio})'


@TRANSFORMS.register_module()
class PackForegroundInputs(PackInputs):
    """mmpretrain's PackInputs, which also packs ``gt_seg_map`` as ``mask`` (H, W) of the sample and
    ``exchanged``, the image on another background, as ``exchanged`` (3, H, W)."""

    def transform(self, results: dict) -> dict:
        """Pack the results, with ``mask`` and ``exchanged`` if they have these."""
        if 'gt_seg_map' in results:
            results['mask'] = np.ascontiguousarray(results['gt_seg_map'])
        packed = super().transform(results)
        if 'exchanged' in results:
            exchanged = self.format_input(results['exchanged'])
            packed['data_samples'].set_field(exchanged, 'exchanged', dtype=torch.Tensor)
        return packed
