"""What a model thinks of one image, in parts: both views, the trust scores, each branch, where the tower looks."""

from typing import Dict, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..analysis.attention import class_token_rollout
from ..clip import has_attention, record_image_passes
from ..foreground import FVGPT
from ..inference.inferencer import FVGPTInferencer
from ..segmentation import build_segmenter
from ..segmentation.mask_file import THRESHOLD


class Explanation(NamedTuple):
    """One image of S x S pixels, as the model reads it.

    scores: probabilities (C,) of ``zero_shot`` CLIP, the ``tuner``, the branches ``fdc`` and ``pc``, and ``open``; what the
        model has of these. r: trust in the foreground view. b: trust in untouched CLIP. None where there is no such gate.
    full, foreground: (S, S, 3) uint8 RGB. mask: (S, S) bool. attention: roll-out from the class token (S, S), from 0 to 1;
        None where the tower has no class token.
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
        inferencer: the model. segmenter: finds the foreground, see :func:`~fvgpt.segmentation.build_segmenter`.
    """

    def __init__(self, inferencer: FVGPTInferencer, segmenter: str = 'grabcut'):
        self.inferencer = inferencer
        self.segmenter = build_segmenter(segmenter, {})

    @property
    def titles(self) -> Dict[str, str]:
        """What the scores of an explanation are called."""
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
        """Explain an image (H, W, 3) uint8 in RGB, for class names of any kind.

        Raises:
            ValueError: a class name is empty or too long, or there are none.
        """
        inferencer, model = self.inferencer, self.inferencer.model
        inferencer.set_classes(classes, 'open' if model.trained_class_names else 'base')
        found = self.segmenter.segment([np.ascontiguousarray(image)])[0] > THRESHOLD
        full = self._as_read(image)
        # the mask goes the way of the image
        mask = (
            self._as_read(np.repeat(found[..., None], 3, 2).astype(np.uint8) * 255)[:1]
            > 255 * THRESHOLD
        )
        images = model.data_preprocessor(dict(inputs=full[None]))['inputs']
        masks = mask[None].to(images)

        clip = inferencer.tuner.clip
        attention = None
        if has_attention(clip):
            with record_image_passes(clip) as passes:
                scores, r, b = self._scores(images, masks)
            grid = clip.model.visual.grid_size
            attention = _spread(
                class_token_rollout(passes[0])[:1].unflatten(1, grid), full.shape[-2:]
            )
        else:
            scores, r, b = self._scores(images, masks)
        view = model.foreground_view(images, masks) if isinstance(model, FVGPT) else images * masks
        return Explanation(
            list(inferencer.classes),
            {k: z[0].float().softmax(-1).cpu().numpy() for k, z in scores.items()},
            r,
            b,
            _pixels(full.flip(0)),
            self._pixels_of(view[0]),
            mask[0].numpy(),
            attention,
        )

    def _as_read(self, image: np.ndarray) -> Tensor:
        """(3, S, S) uint8, BGR as mmcv has it, after the recipe's transforms."""
        size = image.shape[:2]
        data = self.inferencer.pipeline(
            dict(img=np.ascontiguousarray(image[..., ::-1]), img_shape=size, ori_shape=size)
        )
        return data['inputs']

    def _pixels_of(self, image: Tensor) -> np.ndarray:
        """The picture of a normalised image (3, S, S)."""
        preprocessor = self.inferencer.model.data_preprocessor
        return _pixels(
            (image * preprocessor.std + preprocessor.mean).round().clamp(0, 255).byte().cpu()
        )

    def _scores(
        self, images: Tensor, masks: Tensor
    ) -> Tuple[Dict[str, Tensor], Optional[float], Optional[float]]:
        """Logits by branch, r and b."""
        model, tuner = self.inferencer.model, self.inferencer.tuner
        if not isinstance(model, FVGPT):
            return model.logits_by_source(images), None, None
        frozen = model.extract_feat(images, masks)
        full, foreground, text = (
            model.view(frozen, 'full'),
            model.view(frozen, 'fg'),
            model.text_features(),
        )
        z_clip = model.prior_logits(frozen['full.clip'])
        scores, r, b = (
            dict(zero_shot=z_clip, tuner=tuner.logits(full, text, model.branch)),
            None,
            None,
        )
        if model.compensation:
            scores['fdc'] = model.compensation(full['feature'], text['feature'])
        if model.reliability_gate:
            z_full, z_fg = (tuner.logits(view, text, 'base') for view in (full, foreground))
            r = model.reliability_gate(z_full, z_fg, frozen['area']).r.item()
        if model.calibration:
            scores['pc'], b = model.calibration(tuner.logits(full, text, 'new'), z_clip)
            b = b.item()
        if model.branch == 'open':
            scores['open'] = model.logits_of_frozen(frozen)['fvgpt']
        return scores, r, b


def _pixels(image: Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).numpy()


def _spread(patches: Tensor, size: Sequence[int]) -> np.ndarray:
    """A map over patches (1, rows, columns) as (S, S), from 0 to 1."""
    spread = F.interpolate(
        patches[None].float(), tuple(size), mode='bilinear', align_corners=False
    )[0, 0]
    low, high = spread.aminmax()
    return ((spread - low) / (high - low).clamp(min=1e-12)).cpu().numpy()
