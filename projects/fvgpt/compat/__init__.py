"""Every change to other people's libraries, applied once, at ``import fvgpt``.

Nothing here imports mmengine, mmcv, mmpretrain or open_clip at module level: the versions are checked first.
"""

from .mmpretrain import patch_multimodal, patch_stdout
from .safe_loading import patch_checkpoint_loaders, patch_safe_globals
from .torchvision import patch_torchvision
from .versions import check_versions

PATCHES = (
    patch_torchvision,
    patch_multimodal,
    patch_stdout,
    patch_safe_globals,
    patch_checkpoint_loaders,
)


def apply_patches() -> None:
    """Check the installed versions, then change what has to be changed, in this order.

    Raises:
        MissingPackageError: a package is missing or outside its range.
    """
    check_versions()
    for patch in PATCHES:
        patch()
