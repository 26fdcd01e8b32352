"""Changes to mmpretrain, for packages that are newer than it and for its forks."""

import contextlib
import sys


def patch_multimodal() -> None:
    """Skip mmpretrain's multimodal models if they cannot be imported.

    mmpretrain imports them if pycocotools (which mmdet brings) and transformers >= 4.28 are
    installed. Newer versions of transformers dropped functions that these models import (4.49 has
    them, 4.57 has not), and ``import mmpretrain.models`` fails.
    """
    from mmpretrain.utils import dependency

    if not dependency.WITH_MULTIMODAL:
        return
    needed = ('apply_chunking_to_forward', 'prune_linear_layer')
    try:
        from transformers import BasicTokenizer, WordpieceTokenizer, modeling_utils  # noqa: F401

        dependency.WITH_MULTIMODAL = all(hasattr(modeling_utils, name) for name in needed)
    except Exception:  # NameError if torch is too old for the installed transformers
        dependency.WITH_MULTIMODAL = False


def patch_stdout() -> None:
    """Import mmpretrain's data sets with stdout sent to stderr.

    OneDL's fork prints on stdout that one of its packages is not installed. This would corrupt the
    output of commands that print JSON.
    """
    with contextlib.redirect_stdout(sys.stderr):
        import mmpretrain.datasets  # noqa: F401


def remove_clip_placeholders() -> None:
    """Remove the placeholders of mmpretrain's ``CLIP`` and ``CLIPZeroShot`` from its registry.

    Without its multimodal extra, mmpretrain registers functions under these names that only raise
    an error. Once they are removed, importing the models registers the real classes.
    """
    from types import FunctionType

    from mmpretrain.registry import MODELS

    for name in ('CLIP', 'CLIPZeroShot'):
        if isinstance(MODELS.get(f'mmpretrain.{name}'), FunctionType):
            del MODELS.module_dict[name]
