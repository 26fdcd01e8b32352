"""Figures of example images: the image, its mask, and attention maps drawn over it."""

import textwrap
from typing import Dict, List, Sequence

import numpy as np
import torch.nn.functional as F
from matplotlib.figure import Figure
from mmengine.dataset import BaseDataset
from torch import Tensor

from .attention import GRADCAM, ROLLOUT
from .collect import Column, Observer

_TILE = 1.45  # side of an image in inches


def example_figure(
    observer: Observer,
    dataset: BaseDataset,
    column: Column,
    chosen: np.ndarray,
    titles: Dict[str, str],
) -> Figure:
    """Draw one row per example image.

    Args:
        observer: computes the maps.
        dataset: data set of the images.
        column: the values that were collected from it.
        chosen: (n,), indices of the images in ``column``.
        titles: source -> title.
    """
    observer.set_classes(dataset.metainfo)
    images, labels, masks, _ = observer.load([dataset[int(column.indices[i])] for i in chosen])
    _, maps = observer.look(images, labels)
    shown = {}  # key of the map -> heading
    if maps:
        shown[f'tuner/{ROLLOUT}'] = 'roll-out, tuner'
        for source, title in titles.items():
            shown[f'{source}/{GRADCAM}'] = f'Grad-CAM, {title}'
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
    """Convert normalised images (B, 3, H, W) to RGB (B, H, W, 3) in [0, 1]."""
    pixels = (images * preprocessor.std + preprocessor.mean) / 255
    return pixels.clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()


def enlarged(patch_map: Tensor, grid: Sequence[int], size: Sequence[int]) -> np.ndarray:
    """Resize a map over patches.

    Args:
        patch_map: (P,).
        grid: rows and columns of patches, P in total.
        size: (H, W) in pixels.

    Returns:
        (H, W).
    """
    pixels = F.interpolate(patch_map.reshape(1, 1, *grid), tuple(size), mode='bilinear')
    return pixels[0, 0].cpu().numpy()


def _caption(column: Column, index: int, titles: Dict[str, str]) -> str:
    """True class of an image, and predictions and confidences of the last two sources."""
    values = {key: of_all[index] for key, of_all in column.values.items()}
    parts: List[str] = [column.classes[int(values['label'])]]
    for source in list(titles)[-2:]:
        predicted = column.classes[int(values[f'{source}/pred'])]
        parts.append(f'{titles[source]}: {predicted} ({values[f"{source}/confidence"]:.2f})')
    return '  |  '.join(textwrap.shorten(part, 60) for part in parts).replace('$', r'\$')
