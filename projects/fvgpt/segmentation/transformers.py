"""Segmenter that uses models of Hugging Face's ``transformers``: the SAM family, BiRefNet-like."""

from typing import Dict, List, Optional

import numpy as np
import torch
from torch.nn import functional as F

from ..io.device import torch_device
from ..io.errors import MissingPackageError, UserError
from .base import SEGMENTERS, ForegroundSegmenter, import_library

_INSTALL = 'pip install -r requirements/segment-transformers.txt installs it'
_PROMPTS = ('point', 'box', 'both')
_BOX_MARGIN = 0.05  # margin around the central box, share of the image's width and height
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as BiRefNet expects


@SEGMENTERS.register_module('transformers')
class TransformersSegmenter(ForegroundSegmenter):
    """A model from the Hugging Face Hub or from a folder.

    The model's configuration decides which of two kinds it is:

    - Mask generation models (SAM, SAM-HQ, SAM 2, EdgeTAM, ...) are prompted for the object at the
      image centre. Of the masks they return, the one with the highest predicted IoU is used.
    - Image segmentation models with one output channel (BiRefNet, RMBG-2.0 and others, whose code
      is distributed with the weights) return foreground logits as the last of their outputs.

    Args:
        model: name on the Hub, or folder.
        prompt: prompt for models of the SAM family: the central ``point``, a central ``box`` that
            leaves out 5 % at each side, or ``both``.
        size: images are resized to a square of this side, in pixels, for BiRefNet-like models.
        trust_remote_code: run the code that is distributed with the weights; required by
            BiRefNet-like models.
        device: torch device; None for the GPU if there is one, else the CPU.

    Raises:
        MissingPackageError: transformers is not installed or does not work with this torch.
        UserError: an option is invalid, or the model is of another kind.
    """

    def __init__(
        self,
        model: str,
        prompt: str = 'both',
        size: int = 1024,
        trust_remote_code: bool = False,
        device: Optional[str] = None,
    ):
        if prompt not in _PROMPTS:
            raise UserError(f'prompt must be one of {", ".join(_PROMPTS)}, not {prompt!r}')
        library = import_library('transformers', _INSTALL)
        if not library.is_torch_available():
            raise MissingPackageError(
                f'transformers {library.__version__} does not work with torch '
                f'{torch.__version__}: install a newer torch or an older transformers'
            )
        self.device, self.prompt, self.size = torch_device(device), prompt, size
        config = library.AutoConfig.from_pretrained(model, trust_remote_code=trust_remote_code)
        if type(config) in library.MODEL_FOR_MASK_GENERATION_MAPPING:
            self.processor = library.AutoProcessor.from_pretrained(model)
            loader, self._probabilities = library.AutoModelForMaskGeneration, self._prompted
        elif 'AutoModelForImageSegmentation' in getattr(config, 'auto_map', {}):
            loader, self._probabilities = library.AutoModelForImageSegmentation, self._unprompted
        else:
            raise UserError(
                f'{model} is of the kind {config.model_type!r}, neither a mask generation model '
                '(SAM family) nor an image segmentation model with its own code (BiRefNet-like)'
            )
        self.model = loader.from_pretrained(
            model, trust_remote_code=trust_remote_code, dtype=torch.float32
        )
        self.model.to(self.device).eval()

    @torch.inference_mode()
    def segment(self, images: List[np.ndarray]) -> List[np.ndarray]:
        """See :meth:`~fvgpt.segmentation.ForegroundSegmenter.segment`."""
        return [probability.float().cpu().numpy() for probability in self._probabilities(images)]

    def _prompted(self, images: List[np.ndarray]) -> List[torch.Tensor]:
        """Probabilities (H, W) of each image from a model of the SAM family."""
        # nested lists: image, object, (for points: point,) coordinates in pixels
        points, boxes = [], []
        for height, width in (image.shape[:2] for image in images):
            points.append([[[width / 2, height / 2]]])
            left, top = _BOX_MARGIN * width, _BOX_MARGIN * height
            boxes.append([[left, top, width - left, height - top]])
        prompts: Dict[str, list] = {}
        if self.prompt != 'box':
            prompts.update(input_points=points, input_labels=[[[1]]] * len(images))
        if self.prompt != 'point':
            prompts.update(input_boxes=boxes)
        inputs = self.processor(images=images, return_tensors='pt', **prompts)
        inputs = {
            key: value.to(self.device, torch.float32 if value.is_floating_point() else None)
            for key, value in inputs.items()
        }
        sizes = {
            key: inputs.pop(key).tolist()
            for key in ('original_sizes', 'reshaped_input_sizes')
            if key in inputs
        }
        # A point is ambiguous: the models return masks of a part, of the object and of the whole
        # for it. A box is not.
        outputs = self.model(**inputs, multimask_output=self.prompt == 'point')
        logits = self.processor.post_process_masks(
            list(outputs.pred_masks.float()), **sizes, binarize=False
        )
        best = outputs.iou_scores[:, 0].argmax(-1)
        return [masks[0, index].sigmoid() for masks, index in zip(logits, best)]

    def _unprompted(self, images: List[np.ndarray]) -> List[torch.Tensor]:
        """Probabilities (H, W) of each image from a BiRefNet-like model."""
        pixels = [
            torch.from_numpy(image).to(self.device).permute(2, 0, 1)[None].float() / 255
            for image in images
        ]
        inputs = torch.cat(
            [
                F.interpolate(p, (self.size, self.size), mode='bilinear', antialias=True)
                for p in pixels
            ]
        )
        mean, std = (
            torch.tensor(values, device=self.device).view(1, 3, 1, 1) for values in (_MEAN, _STD)
        )
        outputs = self.model((inputs - mean) / std)
        logits = getattr(outputs, 'logits', outputs)
        if isinstance(logits, (list, tuple)):
            logits = logits[-1]  # the others are intermediate outputs
        if not torch.is_tensor(logits) or logits.ndim != 4 or logits.shape[1] != 1:
            output = tuple(logits.shape) if torch.is_tensor(logits) else type(logits).__name__
            raise UserError(
                f'the model returns {output}; '
                'its last output must be foreground logits of shape (B, 1, H, W)'
            )
        return [
            F.interpolate(logit[None], image.shape[:2], mode='bilinear')[0, 0].sigmoid()
            for logit, image in zip(logits, images)
        ]
