"""Segmenters that make foreground masks for images that have none."""

from . import grabcut, openmmlab, rembg, transformers
from .base import SEGMENTERS, ForegroundSegmenter, build_segmenter

__all__ = [
    'SEGMENTERS',
    'ForegroundSegmenter',
    'build_segmenter',
    'grabcut',
    'openmmlab',
    'rembg',
    'transformers',
]
