"""One pass over a data set that keeps, image by image, the few numbers that every analysis is made of."""

from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.dataset import BaseDataset, pseudo_collate
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from ..clip import has_attention, record_image_passes
from ..foreground.fvgpt import FVGPT, stack_masks
from ..io.errors import UserError
from ..tuners.base import PromptTuner
from ..tuners.classifier import CLIPClassifier, gt_labels
from .attention import attention_maps, share_inside
from .foreground_shift import foreground_shift

BATCH = 16  # images; what Grad-CAM keeps of a method that makes text features for every image grows with it


@dataclass
class Column:
    """What is known of the images of one data set.

    name: column of the results table (``base``). branch: of the predictions. classes: names. total: images in the data set.
    paths: (N,) of the images that were looked at. values: arrays (N,), nan where unknown:
    ``label``; ``mask``, an index in :data:`MASKS`; ``area``, foreground share; for each source ``<source>/pred``,
    ``/confidence``, ``/p_true`` (at temperature 1), ``/shift`` (D_fg), ``/rollout``, ``/gradcam`` (shares inside the mask);
    ``r`` and ``r_star`` of the foreground gate, where it takes the mask; ``b`` of the backbone gate.
    """

    name: str
    branch: str
    classes: Tuple[str, ...]
    total: int
    indices: np.ndarray
    paths: List[str]
    values: Dict[str, np.ndarray]

    def correct(self, source: str) -> np.ndarray:
        """(N,) bool, whether the source's prediction is right."""
        return self.values[f'{source}/pred'] == self.values['label']

    def known(self, key: str) -> np.ndarray:
        """(N,) bool, where a value is known; nowhere if it was not computed."""
        return (
            np.isfinite(self.values[key]) if key in self.values else np.zeros(len(self.paths), bool)
        )


MASKS = ('usable', 'missing', 'empty')
"""What ``mask`` of a :class:`Column` counts: a mask; no file; nothing of the foreground in the part that the model sees."""


class Observer:
    """Looks at images with a trained model.

    Args:
        model: FVGPT, or a tuner, which is then compared with CLIP alone. It is put into evaluation mode.

    Raises:
        ValueError: it is neither.
    """

    def __init__(self, model: CLIPClassifier):
        self.sources = ['zero_shot', 'tuner', 'fvgpt']
        if isinstance(model, PromptTuner):
            bare = FVGPT(
                model,
                reliability_gate=None,
                compensation=None,
                calibration=None,
                data_preprocessor=model.data_preprocessor,
            )
            bare.set_trained_classes(model.trained_class_names)
            model = bare.to(model.clip.device)
            self.sources.remove('fvgpt')
        elif not isinstance(model, FVGPT):
            raise UserError(
                f'{type(model).__name__} is neither FVGPT nor a prompt tuner, so there is nothing to compare'
            )
        self.model = model.eval().requires_grad_(False)
        self.model.compare = True
        self.clip = model.tuner.clip
        self.has_attention = has_attention(self.clip)
        self.grid: Tuple[int, int] = (
            tuple(self.clip.model.visual.grid_size) if self.has_attention else (0, 0)
        )

    @property
    def temperature(self) -> float:
        """tau of D_fg, that of the distillation."""
        return self.model.distillation_loss.temperature

    def set_classes(self, metainfo: dict) -> None:
        """Change the classes to those of a data set, given by its ``metainfo``."""
        self.model.set_class_names(
            metainfo['classes'], metainfo.get('branch', 'base'), metainfo.get('dataset_name')
        )

    def load(self, items: List[dict]) -> Tuple[Tensor, Tensor, Optional[Tensor], List]:
        """Normalised images (B, 3, H, W), labels (B,), masks (B, 1, H, W) or None, and data samples of loaded items."""
        data = self.model.data_preprocessor(pseudo_collate(items), False)
        images, samples = data['inputs'], data['data_samples']
        masks = stack_masks(samples, images) if 'mask' in samples[0] else None
        return images, gt_labels(samples, images.device), masks, samples

    def look(
        self, images: Tensor, labels: Tensor
    ) -> Tuple[Dict[str, Tensor], Dict[str, Tensor], Optional[Tensor]]:
        """Logits (B, C) by source, maps (B, P) as :func:`attention_maps` names them, and b (B,) or None, of whole images."""
        if not self.has_attention:
            logits, b = self._predict(images)
            return logits, {}, b
        with torch.enable_grad(), record_image_passes(self.clip) as passes:
            logits, b = self._predict(images)
            maps = attention_maps(passes, logits, labels)
        return (
            {source: z.detach() for source, z in logits.items()},
            maps,
            None if b is None else b.detach(),
        )

    def _predict(self, images: Tensor) -> Tuple[Dict[str, Tensor], Optional[Tensor]]:
        model, tuner = self.model, self.model.tuner
        # The tuner's pass comes first and CLIP's own last, which is how attention_maps tells them apart
        frozen = {} if tuner.image_tower_is_clip else dict(tuner.encode_image(images))
        frozen = {
            f'full.{key}': value
            for key, value in dict(frozen, clip=self.clip.encode_image(images)).items()
        }
        logits = {
            source: z.float()
            for source, z in model.logits_of_frozen(frozen).items()
            if source in self.sources
        }
        if not model.calibration:
            return logits, None
        z_main = tuner.logits(model.view(frozen, 'full'), model.text_features(), 'new')
        return logits, model.calibration.gate(z_main, logits['zero_shot'])

    def measure(self, items: List[dict]) -> Tuple[List[str], Dict[str, np.ndarray]]:
        """Paths and values, as in :class:`Column`, of loaded items."""
        images, labels, masks, samples = self.load(items)
        logits, maps, b = self.look(images, labels)
        values = dict(label=labels)
        for source, z in logits.items():
            p = z.softmax(-1)
            confidence, values[f'{source}/pred'] = p.max(-1)
            values.update(
                {
                    f'{source}/confidence': confidence,
                    f'{source}/p_true': p.gather(1, labels[:, None])[:, 0],
                }
            )
        if b is not None:
            values['b'] = b
        present = torch.tensor(
            [sample.metainfo.get('mask_path') is not None for sample in samples],
            device=images.device,
        )
        area = images.new_zeros(len(images)) if masks is None else masks.mean((1, 2, 3))
        usable = present & (area > 0)
        values['mask'] = torch.where(usable, 0, torch.where(present, 2, 1))  # index in MASKS
        values['area'] = area.masked_fill(~usable, torch.nan)
        if masks is not None and usable.any():
            for key, value in self._foreground_values(images, masks, labels, logits, maps).items():
                values[key] = value.float().masked_fill(~usable, torch.nan)
        return [sample.metainfo['img_path'] for sample in samples], {
            k: v.cpu().numpy() for k, v in values.items()
        }

    def _foreground_values(
        self,
        images: Tensor,
        masks: Tensor,
        labels: Tensor,
        logits: Dict[str, Tensor],
        maps: Dict[str, Tensor],
    ) -> Dict[str, Tensor]:
        model, values = self.model, {}
        foreground = model.logits_by_source(model.foreground_view(images, masks))
        for source, z in logits.items():
            values[f'{source}/shift'] = foreground_shift(
                z, foreground[source].float(), self.temperature
            )
        for key, patch_map in maps.items():
            values[key] = share_inside(patch_map, masks, self.grid)
        if (
            model.reliability_gate and model.branch == 'base'
        ):  # it is asked about classes that were trained on only
            z_full, z_fg = logits['tuner'], foreground['tuner']
            trust = model.reliability_gate(z_full, z_fg, masks.mean((1, 2, 3)))
            values['r'] = trust.r.masked_fill(~trust.valid, torch.nan)
            values['r_star'] = model.gate_loss.target(z_full, z_fg, labels).masked_fill(
                ~trust.valid, torch.nan
            )
        return values

    def collect(
        self,
        dataset: BaseDataset,
        max_images: Optional[int] = None,
        num_workers: int = 0,
        progress: Callable[[int], None] = lambda count: None,
    ) -> Column:
        """Look at a data set, or at ``max_images`` evenly spread over it; ``progress`` hears of each batch's size."""
        self.set_classes(dataset.metainfo)
        indices = spread(len(dataset), max_images)
        loader = DataLoader(
            Subset(dataset, indices.tolist()), BATCH, num_workers=num_workers, collate_fn=list
        )
        paths: List[str] = []
        parts = []
        for items in loader:
            found, values = self.measure(items)
            paths += found
            parts.append(values)
            progress(len(found))
        meta = dataset.metainfo
        return Column(
            meta.get('column', meta.get('subset', 'all')),
            meta.get('branch', 'base'),
            tuple(meta['classes']),
            len(dataset),
            indices,
            paths,
            _concatenate(parts),
        )


def spread(length: int, count: Optional[int]) -> np.ndarray:
    """``count`` of the indices 0 .. length - 1, evenly spread, or all."""
    return (
        np.arange(length)
        if count is None or count >= length
        else np.linspace(0, length - 1, count).round().astype(int)
    )


def _concatenate(parts: Sequence[Dict[str, np.ndarray]]) -> Dict[str, np.ndarray]:
    """Join batches; a batch that lacks a key (no usable mask in it) counts as nan."""
    sizes = [len(part['label']) for part in parts]
    keys = dict.fromkeys(key for part in parts for key in part)
    return {
        key: np.concatenate(
            [part.get(key, np.full(size, np.nan)) for part, size in zip(parts, sizes)]
        )
        for key in keys
    }
