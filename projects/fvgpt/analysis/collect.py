"""One pass over a data set that stores, per image, the numbers that all analyses use."""

from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.dataset import BaseDataset, pseudo_collate
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from .. import names
from ..clip import has_attention, record_image_passes
from ..evaluation.foreground_shift import foreground_shift
from ..foreground.fvgpt import beside_the_tuner, stack_masks
from ..foreground.signals import Signals
from ..names import Branch, Source
from ..tuners.classifier import CLIPClassifier, gt_labels
from ..tuners.features import FrozenFeatures
from .attention import attention_maps, share_inside

# Images per batch. If a method has text features per image, Grad-CAM's memory grows with it.
BATCH = 16


@dataclass
class Column:
    """Results of one data set, per image.

    Attributes:
        name: column of the results table (``base``).
        branch: of the predictions.
        classes: names, in label order.
        total: number of images in the data set.
        indices: (N,) of the images that were looked at.
        paths: (N,) of these images.
        values: name -> (N,), NaN if unknown: ``label``; ``mask``, an index in :data:`MASKS`;
            ``area``, foreground share; for each source ``<source>/pred``, ``/confidence``,
            ``/p_true`` (at temperature 1), ``/shift`` (D_fg), ``/rollout``, ``/gradcam`` (shares
            inside the mask); ``r`` and ``r_star`` of the foreground gate, if it uses the mask;
            ``b`` of the backbone gate.
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
        """(N,) bool, whether a value is known; all False if it was not computed."""
        return (
            np.isfinite(self.values[key]) if key in self.values else np.zeros(len(self.paths), bool)
        )


MASKS = ('usable', 'missing', 'empty')
"""Values of ``mask`` in a :class:`Column`: there is a mask; there is no file; the part of the image
that the model sees has no foreground."""


class Observer:
    """Looks at images with a trained model.

    Args:
        model: FVGPT, or a tuner, which is then compared with CLIP alone. It is put into evaluation
            mode.

    Raises:
        UserError: it is neither.
    """

    def __init__(self, model: CLIPClassifier):
        self.model = beside_the_tuner(model).eval().requires_grad_(False)
        self.sources: List[str] = [Source.ZERO_SHOT, Source.TUNER]
        if self.model is model:
            self.sources.append(Source.FVGPT)
        self.model.compare = True
        self.clip = self.model.tuner.clip
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
            metainfo['classes'], metainfo.get('branch', Branch.BASE), metainfo.get('dataset_name')
        )

    def load(self, items: List[dict]) -> Tuple[Tensor, Tensor, Optional[Tensor], List]:
        """Load items: normalised images (B, 3, H, W), labels (B,), masks (B, 1, H, W) or None,
        and data samples."""
        data = self.model.data_preprocessor(pseudo_collate(items), False)
        images, samples = data['inputs'], data['data_samples']
        masks = stack_masks(samples, images) if 'mask' in samples[0] else None
        return images, gt_labels(samples, images.device), masks, samples

    def look(self, images: Tensor, labels: Tensor) -> Tuple[Signals, Dict[str, Tensor]]:
        """Signals of whole images, and maps (B, P) named as by :func:`attention_maps`.

        Args:
            images: normalised, (B, 3, H, W).
            labels: (B,), whose logits Grad-CAM explains.
        """
        if not self.has_attention:
            return self.model.signals(self.model.extract_feat(images)), {}
        with torch.enable_grad(), record_image_passes(self.clip) as passes:
            signals = self.model.signals(self.model.extract_feat(images))
            maps = attention_maps(passes, self._logits(signals), labels)
        return signals, maps

    def _logits(self, signals: Signals) -> Dict[str, Tensor]:
        by_source = signals.by_source(self.model.branch, compare=True)
        return {source: by_source[source].float() for source in self.sources}

    def measure(self, items: List[dict]) -> Tuple[List[str], Dict[str, np.ndarray]]:
        """Paths and values, as in :class:`Column`, of loaded items."""
        images, labels, masks, samples = self.load(items)
        signals, maps = self.look(images, labels)
        logits = {source: z.detach() for source, z in self._logits(signals).items()}
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
        if self.model.calibration is not None:
            values['b'] = signals.b.detach()
        present = torch.tensor(
            [sample.metainfo.get('mask_path') is not None for sample in samples],
            device=images.device,
        )
        area = images.new_zeros(len(images)) if masks is None else masks.mean((1, 2, 3))
        usable = present & (area > 0)
        values['mask'] = torch.where(usable, 0, torch.where(present, 2, 1))  # index in MASKS
        values['area'] = area.masked_fill(~usable, torch.nan)
        if masks is not None and usable.any():
            values_of_foreground = self._foreground_values(images, masks, labels, signals)
            inside = {key: share_inside(value, masks, self.grid) for key, value in maps.items()}
            for key, value in {**values_of_foreground, **inside}.items():
                values[key] = value.float().masked_fill(~usable, torch.nan)
        return [sample.metainfo['img_path'] for sample in samples], {
            k: v.cpu().numpy() for k, v in values.items()
        }

    def _foreground_values(
        self, images: Tensor, masks: Tensor, labels: Tensor, signals: Signals
    ) -> Dict[str, Tensor]:
        model = self.model
        with torch.no_grad():
            foreground = model.signals(model.extract_feat(model.foreground_view(images, masks)))
            full, moved = self._logits(signals), self._logits(foreground)
        values = {
            f'{source}/shift': foreground_shift(full[source].detach(), z, self.temperature)
            for source, z in moved.items()
        }
        # The gate FRG is only used for classes that were trained on
        if model.reliability_gate is not None and model.branch == Branch.BASE:
            views = FrozenFeatures(
                signals.frozen.full, foreground.frozen.full, masks.mean((1, 2, 3))
            )
            both = model.signals(views)
            trust = both.foreground_trust
            r_star = model.gate_loss.target(both.z_full, both.z_fg, labels)
            values['r'] = trust.r.detach().masked_fill(~trust.valid, torch.nan)
            values['r_star'] = r_star.masked_fill(~trust.valid, torch.nan)
        return values

    def collect(
        self,
        dataset: BaseDataset,
        max_images: Optional[int] = None,
        num_workers: int = 0,
        progress: Callable[[int], None] = lambda count: None,
    ) -> Column:
        """Analyse a data set, or ``max_images`` images that are evenly spread over it.

        ``progress`` is called with the size of each batch.
        """
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
            meta.get('column', meta.get('subset', names.Subset.ALL)),
            meta.get('branch', Branch.BASE),
            tuple(meta['classes']),
            len(dataset),
            indices,
            paths,
            _concatenate(parts),
        )


def spread(length: int, count: Optional[int]) -> np.ndarray:
    """``count`` of the indices 0 .. length - 1, evenly spread; all if ``count`` is larger."""
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
