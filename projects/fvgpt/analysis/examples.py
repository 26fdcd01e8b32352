"""Pictures of images that changed sides: image, mask, and the maps laid over it."""

import textwrap
from typing import Dict, List, Sequence

import numpy as np
import torch.nn.functional as F
from matplotlib.figure import Figure
from mmengine.dataset import BaseDataset
from torch import Tensor

from .attention import GRADCAM, ROLLOUT
from .collect import Column, Observer

_TILE = 1.45  # inches


def example_figure(
    observer: Observer,
    dataset: BaseDataset,
    column: Column,
    chosen: np.ndarray,
    titles: Dict[str, str],
) -> Figure:
    """A row for each of the images ``chosen``, indices (n,) in ``column``; ``titles`` of the sources."""
    observer.set_classes(dataset.metainfo)
    images, labels, masks, _ = observer.load([dataset[int(column.indices[i])] for i in chosen])
    _, maps, _ = observer.look(images, labels)
    shown = (
        {
            f'tuner/{ROLLOUT}': 'roll-out, tuner',
            **{f'{source}/{GRADCAM}': f'Grad-CAM, {title}' for source, title in titles.items()},
        }
        if maps
        else {}
    )
    heads = ['image', 'mask', *shown.values()]
    figure = Figure(
        figsize=(_TILE * len(heads), (_TILE + 0.45) * len(chosen)), layout='constrained'
    )
    pixels, size = to_pixels(images, observer.model.data_preprocessor), images.shape[-2:]
    rows = figure.subfigures(len(chosen), 1, squeeze=False)[:, 0]
    for row, (index, part) in enumerate(zip(chosen, rows)):
        part.suptitle(_caption(column, index, titles), fontsize=7, x=0.005, ha='left')
        usable = np.isfinite(column.values['area'][index])
        outline = masks[row, 0].cpu().numpy() if masks is not None and usable else None
        heats = [None, None, *(enlarged(maps[key][row], observer.grid, size) for key in shown)]
        for axis, head, heat in zip(part.subplots(1, len(heads)), heads, heats):
            empty = np.zeros(size) if outline is None else outline
            axis.imshow(empty if head == 'mask' else pixels[row], cmap='gray', vmin=0, vmax=1)
            if heat is not None:
                axis.imshow(heat, cmap='inferno', alpha=0.6)
                if outline is not None:
                    axis.contour(outline, [0.5], colors='white', linewidths=0.7)
            axis.set_axis_off()
            axis.set_title(head if head != 'mask' or outline is not None else 'no mask', fontsize=7)
    return figure


def to_pixels(images: Tensor, preprocessor) -> np.ndarray:
    """Normalised images (B, 3, H, W) as (B, H, W, 3) RGB in [0, 1]."""
    pixels = (images * preprocessor.std + preprocessor.mean) / 255
    return pixels.clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()


def enlarged(patch_map: Tensor, grid: Sequence[int], size: Sequence[int]) -> np.ndarray:
    """A map (P,) over patches as (H, W)."""
    return (
        F.interpolate(patch_map.reshape(1, 1, *grid), tuple(size), mode='bilinear')[0, 0]
        .cpu()
        .numpy()
    )


def _caption(column: Column, index: int, titles: Dict[str, str]) -> str:
    value = lambda key: column.values[key][index]  # noqa: E731
    parts: List[str] = [column.classes[int(value('label'))]]
    for source in list(titles)[-2:]:
        parts.append(
            f'{titles[source]}: {column.classes[int(value(f"{source}/pred"))]} ({value(f"{source}/confidence"):.2f})'
        )
    return '  |  '.join(textwrap.shorten(part, 60) for part in parts).replace('$', r'\$')
