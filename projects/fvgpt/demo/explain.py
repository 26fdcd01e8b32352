"""The explanation of one prediction: views, trust scores, every branch, and the attention."""

from typing import Dict, NamedTuple, Optional, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..analysis.attention import class_token_rollout
from ..clip import has_attention, record_image_passes
from ..foreground import Signals, beside_the_tuner
from ..inference.inferencer import FVGPTInferencer
from ..names import Branch, Source
from ..segmentation import build_segmenter
from ..segmentation.mask_file import THRESHOLD


class Explanation(NamedTuple):
    """Explanation of one image of S x S pixels, after the model's transforms.

    Attributes:
        classes: C names.
        scores: probabilities (C,) of those that the model has: ``zero_shot`` CLIP, the ``tuner``,
            the branches ``fdc`` and ``pc``, and ``open``.
        r: trust in the foreground view; None without that gate.
        b: trust in the original CLIP; None without that gate.
        full, foreground: (S, S, 3) uint8 RGB.
        mask: (S, S) bool.
        attention: roll-out from the class token (S, S), in [0, 1]; None if the tower has no class
            token.
    """

    classes: Sequence[str]
    scores: Dict[str, np.ndarray]
    r: Optional[float]
    b: Optional[float]
    full: np.ndarray
    foreground: np.ndarray
    mask: np.ndarray
    attention: Optional[np.ndarray]


class Explainer:
    """Explains the predictions of a model.

    Args:
        inferencer: the model.
        segmenter: finds the foreground, see :func:`~fvgpt.segmentation.build_segmenter`.
    """

    def __init__(self, inferencer: FVGPTInferencer, segmenter: str = 'grabcut'):
        self.inferencer = inferencer
        self.model = beside_the_tuner(inferencer.model).eval()
        self.segmenter = build_segmenter(segmenter, {})

    @property
    def titles(self) -> Dict[str, str]:
        """Titles for the page, by key of :attr:`Explanation.scores`."""
        tuner = type(self.inferencer.tuner).__name__
        return dict(
            zero_shot='zero-shot CLIP',
            tuner=tuner,
            fdc='FDC (base branch)',
            pc='PC (new branch)',
            open='open world',
        )

    @torch.no_grad()
    def __call__(self, image: np.ndarray, classes: Optional[Sequence[str]] = None) -> Explanation:
        """Explain the prediction for one image.

        Args:
            image: (H, W, 3) uint8, RGB.
            classes: any class names; by default those of training.

        Raises:
            UserError: a class name is empty or too long, or there are none.
        """
        inferencer, model = self.inferencer, self.model
        branch = Branch.OPEN if model.trained_class_names else Branch.BASE
        inferencer.set_classes(classes, branch)
        model.set_class_names(inferencer.classes, branch, inferencer.config.dataset_name)
        found = self.segmenter.segment([np.ascontiguousarray(image)])[0] > THRESHOLD
        full = self._as_read(image)
        # The mask passes through the same transforms as the image
        pixels = np.repeat(found[..., None], 3, 2).astype(np.uint8) * 255
        mask = self._as_read(pixels)[:1] > 255 * THRESHOLD
        images = model.data_preprocessor(dict(inputs=full[None]))['inputs']
        masks = mask[None].to(images)

        attention = None
        if has_attention(model.tuner.clip):
            with record_image_passes(model.tuner.clip) as passes:
                signals = model.signals(model.extract_feat(images, masks))
            grid = model.tuner.clip.model.visual.grid_size
            rollout = class_token_rollout(passes[0])[:1].unflatten(1, grid)
            attention = _spread(rollout, full.shape[-2:])
        else:
            signals = model.signals(model.extract_feat(images, masks))
        scores = {
            name: z[0].float().softmax(-1).cpu().numpy()
            for name, z in self._logits(signals, branch).items()
        }
        return Explanation(
            list(inferencer.classes),
            scores,
            signals.r.item() if model.reliability_gate is not None else None,
            signals.b.item() if model.calibration is not None else None,
            _pixels(full.flip(0)),
            self._pixels_of(model.foreground_view(images, masks)[0]),
            mask[0].numpy(),
            attention,
        )

    def _logits(self, signals: Signals, branch: Branch) -> Dict[str, Tensor]:
        """Logits (1, C) by key of :attr:`Explanation.scores`."""
        logits: Dict[str, Tensor] = {
            Source.ZERO_SHOT: signals.z_clip,
            Source.TUNER: signals.z_tuner(branch),
        }
        if self.model.compensation is not None:
            logits['fdc'] = signals.z_fdc
        if self.model.calibration is not None:
            logits['pc'] = signals.z_pc
        if branch == Branch.OPEN and self.model is self.inferencer.model:
            logits['open'] = signals.z_fvgpt(branch)
        return logits

    def _as_read(self, image: np.ndarray) -> Tensor:
        """The recipe's transforms of an RGB image: (3, S, S) uint8, BGR as in mmcv."""
        size = image.shape[:2]
        data = self.inferencer.pipeline(
            dict(img=np.ascontiguousarray(image[..., ::-1]), img_shape=size, ori_shape=size)
        )
        return data['inputs']

    def _pixels_of(self, image: Tensor) -> np.ndarray:
        """A normalised image (3, S, S) as (S, S, 3) uint8."""
        preprocessor = self.inferencer.model.data_preprocessor
        return _pixels(
            (image * preprocessor.std + preprocessor.mean).round().clamp(0, 255).byte().cpu()
        )


def _pixels(image: Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).numpy()


def _spread(patches: Tensor, size: Sequence[int]) -> np.ndarray:
    """A map over patches (1, rows, columns), interpolated to (S, S) and scaled to [0, 1]."""
    spread = F.interpolate(
        patches[None].float(), tuple(size), mode='bilinear', align_corners=False
    )[0, 0]
    low, high = spread.aminmax()
    return ((spread - low) / (high - low).clamp(min=1e-12)).cpu().numpy()
