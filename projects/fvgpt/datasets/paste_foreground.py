"""Background exchange: an object on the background of another image."""

from typing import Any, List, Optional

import numpy as np
from mmcv.transforms import BaseTransform

from ..io.errors import UserError
from ..registry import TRANSFORMS
from .remove_object import remove_object
from .views import MIN_AREA, paste

OUTPUTS = ('img', 'exchanged')
_DRAWS = 100  # of another image, before the data set is refused


@TRANSFORMS.register_module()
class PasteForeground(BaseTransform):
    """x' = m x + (1 - m) B_k, the object of an image on the background of another one.

    B_k is a random image k of another class of the same data set, after the same steps of the
    pipeline as x (so it is an augmented view of its own), its own object filled in
    (:func:`~fvgpt.datasets.remove_object.remove_object`). Images whose mask covers 95 % or more of
    the view have too little background and are not drawn.

    It comes behind the transforms that change the geometry and before packing, as a step of the
    pipeline itself, and needs ``gt_seg_map`` (LoadForegroundMask). With ``output='img'`` it is an
    augmentation for any classifier; with ``output='exchanged'`` and PackForegroundInputs, FVGPT
    reads x' beside x (``student_view='exchange'``).

    The results must contain the data set as ``dataset``, as they do in the data sets of this
    project and of MMYOLO. For others there are :class:`~fvgpt.datasets.FewShotWrapper` and
    :class:`~fvgpt.datasets.OtherImagesDataset`.

    Args:
        prob: probability of the exchange; otherwise x' = x.
        output: ``img`` replaces the image by x', its mask stays valid. ``exchanged`` leaves the
            image and writes x' to ``exchanged``.
        min_area: share of the view that the mask must cover; otherwise x' = x, since there is no
            object to paste and x' would be an image of another class (the gate does not trust
            such masks either, decision O2).

    Raises:
        UserError: an invalid option.
    """

    reads_other_images = True

    def __init__(self, prob: float = 1.0, output: str = 'img', min_area: float = MIN_AREA):
        if not 0 <= prob <= 1:
            raise UserError(f'prob of PasteForeground must be from 0 to 1, not {prob}')
        if output not in OUTPUTS:
            raise UserError(f'output of PasteForeground must be one of {OUTPUTS}, not {output!r}')
        self.prob, self.output, self.min_area = prob, output, min_area

    def transform(self, results: dict) -> dict:
        """Write x' (H, W, 3) uint8.

        Raises:
            UserError: there is no mask or no data set in the results, or no image of another class
                with a background.
        """
        if results.get('gt_seg_map') is None:
            raise UserError(
                f'PasteForeground needs the mask of {results.get("img_path")}: add '
                'LoadForegroundMask before it and set mask_root of the data set'
            )
        dataset = results.get('dataset')
        mask = results['gt_seg_map'] > 0
        image = results['img']
        if mask.mean() >= self.min_area and np.random.random() < self.prob:
            background = self.background(dataset, results['gt_label'])
            if background.shape != image.shape:
                raise UserError(
                    f'PasteForeground got images of size {image.shape[:2]} and '
                    f'{background.shape[:2]}: resize or crop to one size before it'
                )
            image = paste(image, mask, background)
        results[self.output] = image
        return results

    def background(self, dataset: Any, label: int) -> np.ndarray:
        """B_k (H, W, 3) uint8 of a random image k of another class than ``label``."""
        steps = self.steps_before(dataset)
        for _ in range(_DRAWS):
            other = dataset.get_data_info(np.random.randint(len(dataset)))
            if other['gt_label'] == label:
                continue
            other['dataset'] = dataset
            for step in steps:
                other = step(other)
            filled = remove_object(other['img'], other['gt_seg_map'] > 0)
            if filled is not None:
                return filled
        raise UserError(
            f'PasteForeground found no background in {_DRAWS} random images of '
            f'{getattr(dataset, "data_root", type(dataset).__name__)}: it needs images of another '
            'class whose mask leaves 5 % of the image free; check the masks'
        )

    def steps_before(self, dataset: Any) -> List[Any]:
        """The steps of the data set's pipeline before this one."""
        steps: Optional[List[Any]] = getattr(getattr(dataset, 'pipeline', None), 'transforms', None)
        if steps is None:
            raise UserError(
                'PasteForeground reads other images, but the results contain no data set: use a '
                'data set of this project, or FewShotWrapper or OtherImagesDataset around another'
            )
        for position, step in enumerate(steps):
            if step is self:
                return steps[:position]
        raise UserError(
            'PasteForeground must be a step of the pipeline itself, not inside another transform'
        )

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(prob={self.prob}, output={self.output!r}, '
            f'min_area={self.min_area})'
        )
