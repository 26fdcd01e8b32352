"""Pipelines that follow the input size of the CLIP."""

from typing import Iterable, Optional

import open_clip
from mmengine.config import Config, ConfigDict

from ...clip.weights import QUICKSTART_CLIP

_SIZE_KEYS = ('scale', 'crop_size')


def input_size(clip_name: str) -> Optional[int]:
    """Side in pixels of what a CLIP reads; None where its config is not on this machine or says no such number."""
    if clip_name.startswith('hf-hub:'):
        return None
    try:
        config = open_clip.get_model_config(
            f'local-dir:{QUICKSTART_CLIP}' if clip_name == 'quickstart' else clip_name
        )
    except OSError:
        return None  # FrozenCLIP says what is wrong with the name
    size = ((config or {}).get('vision_cfg') or {}).get('image_size')
    return size if isinstance(size, int) else None


def fit_image_size(config: Config, datasets: Iterable[ConfigDict]) -> None:
    """Scale the sizes in the pipelines of ``datasets`` from the recipe's ``image_size`` to what its CLIP reads.

    So a recipe written for 224 pixels takes ViT-L-14-336 or the embedded CLIP of 64 by the CLIP's name alone.

    Args:
        config: a recipe; without ``image_size``, the size that its pipelines are written for, nothing is done.
        datasets: its data sets, changed in place.
    """
    size, written = config.get('clip') and input_size(config.clip.name), config.get('image_size')
    if not size or not written or size == written:
        return
    for step in (step for dataset in datasets for step in dataset.get('pipeline') or ()):
        for key in _SIZE_KEYS:
            if isinstance(step.get(key), int):
                step[key] = round(step[key] * size / written)
            elif isinstance(step.get(key), (list, tuple)):
                step[key] = tuple(round(side * size / written) for side in step[key])
    config.image_size = size
