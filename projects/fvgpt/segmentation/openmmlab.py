"""Models of MMDetection and MMSegmentation, by config and checkpoint."""

from typing import Any, Callable, List, Optional, Sequence, Union

import numpy as np
import torch

from ..io.device import torch_device
from ..io.errors import MissingPackageError, UserError
from .base import SEGMENTERS, ForegroundSegmenter, import_library

_INSTALL = 'install {} as its documentation says (it needs a full mmcv, not mmcv-lite)'
Names = Union[str, Sequence[str]]


@SEGMENTERS.register_module('mmdet')
class MMDetSegmenter(ForegroundSegmenter):
    """An instance segmentation model of MMDetection; foreground is the union of what it finds.

    Args:
        model: config file.
        checkpoint: weights, a file or an address.
        foreground: class names that count; all of the model's when left out.
        score_threshold: instances with a lower score do not count.
        device: a torch device; the GPU where there is one when left out.
    """

    def __init__(
        self,
        model: str,
        checkpoint: str,
        foreground: Optional[Names] = None,
        score_threshold: float = 0.3,
        device: Optional[str] = None,
    ):
        self.api = import_library('mmdet.apis', _INSTALL.format('mmdet'))
        self.device, self.score_threshold = torch_device(device), score_threshold
        self.model = load_model(self.api.init_detector, model, checkpoint, self.device)
        names = self.model.dataset_meta['classes']
        self.foreground = (
            class_indices(names, foreground) if foreground else list(range(len(names)))
        )

    def segment(self, images: List[np.ndarray]) -> List[np.ndarray]:
        """See :meth:`~fvgpt.segmentation.ForegroundSegmenter.segment`; hard masks.

        Raises:
            ValueError: the model finds boxes only.
        """
        return [
            self._union(result.pred_instances, image.shape[:2])
            for result, image in zip(self.api.inference_detector(self.model, bgr(images)), images)
        ]

    def _union(self, instances, size) -> np.ndarray:
        if 'masks' not in instances:
            raise UserError('the mmdet model finds boxes only; take an instance segmentation model')
        scores, labels = instances.scores.cpu().numpy(), instances.labels.cpu().numpy()
        masks = np.asarray(instances.masks.cpu(), bool).reshape(-1, *size)  # no instance: (0, H, W)
        return (
            masks[(scores >= self.score_threshold) & np.isin(labels, self.foreground)]
            .any(0)
            .astype(np.float32)
        )


@SEGMENTERS.register_module('mmseg')
class MMSegSegmenter(ForegroundSegmenter):
    """A semantic segmentation model of MMSegmentation; foreground is the summed probability of the classes that count.

    Args:
        model: config file.
        checkpoint: weights, a file or an address.
        foreground: class names that count; all but ``background`` when left out, where the model has a class of that name.
        device: a torch device; the GPU where there is one when left out.
    """

    def __init__(
        self,
        model: str,
        checkpoint: str,
        foreground: Optional[Names] = None,
        device: Optional[str] = None,
    ):
        self.api = import_library('mmseg.apis', _INSTALL.format('mmsegmentation'))
        self.device = torch_device(device)
        self.model = load_model(self.api.init_model, model, checkpoint, self.device)
        names = list(self.model.dataset_meta['classes'])
        if not foreground and 'background' not in names:
            raise UserError(
                'the mmseg model has no class named background; say which classes are foreground, e.g. '
                f'--segmenter-options foreground={names[0]},{names[-1]} (it has {", ".join(names)})'
            )
        self.foreground = class_indices(
            names, foreground or [name for name in names if name != 'background']
        )

    def segment(self, images: List[np.ndarray]) -> List[np.ndarray]:
        """See :meth:`~fvgpt.segmentation.ForegroundSegmenter.segment`; soft masks."""
        # one at a time: mmseg takes no images of different sizes at once
        results = (self.api.inference_model(self.model, image) for image in bgr(images))
        return [
            self._probability(result.seg_logits.data.float()).clamp(0, 1).cpu().numpy()
            for result in results
        ]

    def _probability(self, logits: torch.Tensor) -> torch.Tensor:
        """(C, H, W) -> (H, W); of a binary model with one channel mmseg gives the foreground's probability."""
        if len(logits) == 1:
            return logits[0]
        # of MaskFormer, Mask2Former and SAN mmseg gives no logits but probabilities, summed over the queries; a softmax of
        # these is nearly uniform, and all would be foreground
        shares = (logits / logits.sum(0)).nan_to_num() if logits.min() >= 0 else logits.softmax(0)
        return shares[self.foreground].sum(0)


def load_model(init: Callable, config: str, checkpoint: str, device: str) -> Any:
    """The library's model with its weights.

    Raises:
        ImportError: the model needs operators that are not there. OneDL's forks import without them and find out here.
    """
    try:
        return init(config, checkpoint, device=device)
    except ImportError as error:
        raise MissingPackageError(
            f'the model of {config} cannot be built ({error}); mmcv must be a full one, compiled with its '
            'operators'
        ) from error


def bgr(images: List[np.ndarray]) -> List[np.ndarray]:
    """OpenMMLab reads arrays as OpenCV does."""
    return [np.ascontiguousarray(image[..., ::-1]) for image in images]


def class_indices(names: Sequence[str], wanted: Names) -> List[int]:
    """Positions of the wanted class names.

    Raises:
        ValueError: the model has no class of that name.
    """
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise UserError(f'the model has no class {unknown[0]!r}; it has {", ".join(names)}')
    return [list(names).index(name) for name in wanted]
