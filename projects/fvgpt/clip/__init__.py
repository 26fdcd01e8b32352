"""The frozen CLIP that everything is trained on."""

from .frozen_clip import QUICKSTART_CLIP, FrozenCLIP
from .prompts import CUSTOM_TEMPLATES, PLAIN_TEMPLATE, fill_template, resolve_template

__all__ = [
    'CUSTOM_TEMPLATES',
    'FrozenCLIP',
    'PLAIN_TEMPLATE',
    'QUICKSTART_CLIP',
    'fill_template',
    'resolve_template',
]
