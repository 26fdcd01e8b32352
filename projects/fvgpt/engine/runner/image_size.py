"""Adapt pipelines to the input size of the CLIP."""

from typing import Iterable, Optional

import open_clip
from mmengine.config import Config, ConfigDict

from ...clip.weights import QUICKSTART_CLIP

_SIZE_KEYS = ('scale', 'crop_size')


def input_size(clip_name: str) -> Optional[int]:
    """Input size of a CLIP in pixels; None if its config is not on this machine or has none."""
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
    """Scale the pipelines of ``datasets`` from ``image_size`` to the input size of the CLIP.

    A recipe written for 224 pixels then works with ViT-L-14-336 (336 pixels) or the embedded CLIP
    (64 pixels) if only the name of the CLIP is changed.

    Args:
        config: a recipe. ``image_size`` is the size that its pipelines are written for; without
            this key nothing is changed.
        datasets: its data sets, changed in place.
    """
    name, written = (config.get('clip') or {}).get('name'), config.get('image_size')
    size = input_size(name) if name else None
    if not size or not written or size == written:
        return
    for step in (step for dataset in datasets for step in dataset.get('pipeline') or ()):
        for key in _SIZE_KEYS:
            if isinstance(step.get(key), int):
                step[key] = round(step[key] * size / written)
            elif isinstance(step.get(key), (list, tuple)):
                step[key] = tuple(round(side * size / written) for side in step[key])
    config.image_size = size
