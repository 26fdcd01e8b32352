"""Segmenters that use models of MMDetection and MMSegmentation."""

from typing import Any, Callable, List, Optional, Sequence, Union

import numpy as np
import torch

from ..io.device import torch_device
from ..io.errors import MissingPackageError, UserError
from .base import SEGMENTERS, ForegroundSegmenter, import_library

_INSTALL = 'install {} as described in its documentation (it needs a full mmcv, not mmcv-lite)'
Names = Union[str, Sequence[str]]


@SEGMENTERS.register_module('mmdet')
class MMDetSegmenter(ForegroundSegmenter):
    """An instance segmentation model of MMDetection. Foreground is the union of all instances.

    Args:
        model: config file.
        checkpoint: file or URL of the weights.
        foreground: names of the classes that are foreground; None for all classes of the model.
        score_threshold: instances with a lower score are ignored.
        device: torch device; None for the GPU if there is one, else the CPU.

    Raises:
        MissingPackageError: mmdet or compiled operators of mmcv are not installed.
        UserError: the model has no class of a given name, or the device cannot be used.
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
            UserError: the model predicts boxes only.
        """
        return [
            self._union(result.pred_instances, image.shape[:2])
            for result, image in zip(self.api.inference_detector(self.model, bgr(images)), images)
        ]

    def _union(self, instances, size) -> np.ndarray:
        if 'masks' not in instances:
            raise UserError(
                'the mmdet model predicts boxes only; use an instance segmentation model'
            )
        scores, labels = instances.scores.cpu().numpy(), instances.labels.cpu().numpy()
        masks = np.asarray(instances.masks.cpu(), bool).reshape(-1, *size)  # no instance: (0, H, W)
        return (
            masks[(scores >= self.score_threshold) & np.isin(labels, self.foreground)]
            .any(0)
            .astype(np.float32)
        )


@SEGMENTERS.register_module('mmseg')
class MMSegSegmenter(ForegroundSegmenter):
    """A semantic segmentation model of MMSegmentation.

    The foreground probability is the sum of the probabilities of the foreground classes.

    Args:
        model: config file.
        checkpoint: file or URL of the weights.
        foreground: names of the classes that are foreground; None for all classes but
            ``background``, which the model must have then.
        device: torch device; None for the GPU if there is one, else the CPU.

    Raises:
        MissingPackageError: mmseg or compiled operators of mmcv are not installed.
        UserError: the model has no class of a given name or no background class, or the device
            cannot be used.
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
                'the mmseg model has no class named background; choose the foreground classes, '
                f'e.g. --segmenter-options foreground={names[0]},{names[-1]} '
                f'(it has {", ".join(names)})'
            )
        self.foreground = class_indices(
            names, foreground or [name for name in names if name != 'background']
        )

    def segment(self, images: List[np.ndarray]) -> List[np.ndarray]:
        """See :meth:`~fvgpt.segmentation.ForegroundSegmenter.segment`; soft masks."""
        # one at a time: mmseg cannot batch images of different sizes
        results = (self.api.inference_model(self.model, image) for image in bgr(images))
        return [
            self._probability(result.seg_logits.data.float()).clamp(0, 1).cpu().numpy()
            for result in results
        ]

    def _probability(self, logits: torch.Tensor) -> torch.Tensor:
        """Foreground probability (H, W) from the outputs (C, H, W) of a model."""
        if len(logits) == 1:  # a binary model, for which mmseg returns probabilities
            return logits[0]
        # For MaskFormer, Mask2Former and SAN mmseg returns probabilities summed over the queries
        # instead of logits. A softmax of these would be almost uniform.
        shares = (logits / logits.sum(0)).nan_to_num() if logits.min() >= 0 else logits.softmax(0)
        return shares[self.foreground].sum(0)


def load_model(init: Callable, config: str, checkpoint: str, device: str) -> Any:
    """Build a model of the library and load its weights.

    Args:
        init: ``init_detector`` of mmdet or ``init_model`` of mmseg.
        config: config file.
        checkpoint: file or URL.
        device: torch device.

    Raises:
        MissingPackageError: the model needs compiled operators of mmcv that are not installed.
            OneDL's forks of the libraries can be imported without them and fail here only.
    """
    try:
        return init(config, checkpoint, device=device)
    except ImportError as error:
        raise MissingPackageError(
            f'the model of {config} cannot be built ({error}); it needs a full mmcv, compiled with '
            'its operators'
        ) from error


def bgr(images: List[np.ndarray]) -> List[np.ndarray]:
    """Convert RGB images to BGR, which OpenMMLab expects as OpenCV does."""
    return [np.ascontiguousarray(image[..., ::-1]) for image in images]


def class_indices(names: Sequence[str], wanted: Names) -> List[int]:
    """Indices of class names.

    Args:
        names: all classes of the model.
        wanted: one or more of them.

    Raises:
        UserError: the model has no class of that name.
    """
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise UserError(f'the model has no class {unknown[0]!r}; it has {", ".join(names)}')
    return [list(names).index(name) for name in wanted]
