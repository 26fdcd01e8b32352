"""Checkpoints of small models as training writes them, without the training."""

from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from fvgpt.clip import FrozenCLIP
from fvgpt.registry import MODELS
from fvgpt.tuners.classifier import tuner_of
from fvgpt.tuners.provenance import PROVENANCE, Provenance

TRAINED = ['cat', 'dog', 'Yo_Yo']
LOAD = dict(
    type='LoadImageFromFile', imdecode_backend='pillow', color_type='color_ignore_orientation'
)
RESIZE = dict(
    type='Resize', scale=(32, 32), keep_ratio=False, backend='pillow', interpolation='bicubic'
)
COOP = dict(type='CoOp', n_ctx=2)


def keep_weights(config_folder: Path, folder: Path) -> dict:
    """Config of a CLIP with random weights from ``folder``, the same ones each time it is built."""
    torch.manual_seed(0)
    clip = FrozenCLIP(f'local-dir:{config_folder}', pretrained='random')
    folder.mkdir()
    (folder / 'open_clip_config.json').write_text(
        (config_folder / 'open_clip_config.json').read_text()
    )
    save_file(
        {key: value.contiguous() for key, value in clip.model.state_dict().items()},
        folder / 'open_clip_model.safetensors',
    )
    return dict(type='FrozenCLIP', name=f'local-dir:{folder}')


def save_model(
    path: Path, clip: dict, tuner: dict = COOP, plug_in: bool = True, steps=(RESIZE,), **changes
) -> nn.Module:
    """Write a checkpoint of a model whose trained parameters are random.

    ``changes`` replace keys of its ``meta``.
    """
    init_default_scope('mmpretrain')
    tuner = dict(tuner, clip=clip)
    config = dict(type='FVGPT', tuner=tuner) if plug_in else tuner
    torch.manual_seed(1)
    model = MODELS.build(config).eval()
    if plug_in:
        model._tuner_is_trained = True
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        if hasattr(tuner_of(model), 'key_labels'):
            tuner_of(model).key_labels.copy_(torch.arange(6) % 3)
    model.set_trained_classes(TRAINED)
    text = Config(
        dict(
            custom_imports=dict(imports=['fvgpt']),
            clip=clip,
            model=config,
            test_dataloader=[
                dict(dataset=dict(type='Any', pipeline=[LOAD, *steps, dict(type='PackInputs')]))
            ],
        )
    ).pretty_text
    meta = dict(
        {
            'cfg': text,
            'dataset_meta': dict(dataset_name=None),
            PROVENANCE: Provenance.of_model(model).to_dict(),
        },
        **changes,
    )
    torch.save(dict(meta=meta, state_dict=model.state_dict()), path)
    return model


def draw_image(path: Path, seed: int = 0, size=(40, 48), **options) -> np.ndarray:
    """Write an image of smooth noise; returns its pixels (H, W, 3), BGR."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8)).resize(
        size[::-1], Image.BICUBIC
    )
    image.save(path, **options)
    return np.asarray(image)[..., ::-1]
