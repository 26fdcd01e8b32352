"""mmpretrain beside packages that are newer than it, or forks of its own."""

import contextlib
import sys


def patch_multimodal() -> None:
    """Let mmpretrain leave its multimodal models out where it has a transformers that is too new for them.

    It takes any from 4.28 on as fit once pycocotools is there too, as it is with mmdet; with one that dropped what the models
    import (4.57 did, 4.49 had it) ``import mmpretrain.models`` fails.
    """
    from mmpretrain.utils import dependency

    if dependency.WITH_MULTIMODAL:
        try:
            from transformers import BasicTokenizer, WordpieceTokenizer, modeling_utils  # noqa: F401

            needed = ('apply_chunking_to_forward', 'prune_linear_layer')
            dependency.WITH_MULTIMODAL = all(hasattr(modeling_utils, name) for name in needed)
        except (
            Exception
        ):  # a NameError where transformers has no use for a torch that is too old for it
            dependency.WITH_MULTIMODAL = False


def patch_stdout() -> None:
    """Import mmpretrain's data sets with what they print on stderr.

    OneDL's fork says on stdout that an SDK of theirs is missing, and would spoil what commands answer there, such as JSON.
    """
    with contextlib.redirect_stdout(sys.stderr):
        import mmpretrain.datasets  # noqa: F401
