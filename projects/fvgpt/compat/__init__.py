"""Every change that fvgpt makes to other people's libraries, applied once by ``import fvgpt``.

In the order in which they are applied:

============================  ==================  ================================================
function                      library             what changes, and why
============================  ==================  ================================================
``patch_torchvision``         torch, torchvision  defines two operator schemas if torchvision's
                                                  compiled library does not load; without them
                                                  ``import torchvision`` fails
``patch_multimodal``          mmpretrain          skips its multimodal models if the installed
                                                  transformers is too new for them; otherwise
                                                  ``import mmpretrain.models`` fails
``patch_stdout``              mmpretrain          imports its data sets with stdout sent to stderr:
                                                  OneDL's fork prints a notice, which would corrupt
                                                  JSON output of our commands
``patch_default_hooks``       MMEngine            ``default_hooks=dict(NAME=None)`` switches off a
                                                  hook of any name, not only MMEngine's six; recipes
                                                  of stage 2 need it
``patch_safe_globals``        torch               ``weights_only=True`` accepts MMEngine's
                                                  ``HistoryBuffer``, so that checkpoints of other
                                                  OpenMMLab runs can be read safely
``patch_checkpoint_loaders``  MMEngine            local and downloaded checkpoints are read with
                                                  ``weights_only=True``: no pickled code is run
``patch_config_prefix``       MMEngine,           ``_base_ = 'fvgpt::...'`` finds our recipes in a
                              mmpretrain          config of any project
``patch_model_hub``           mmpretrain          ``get_model``, ``list_models`` and the inferencers
                                                  know our recipes by name
============================  ==================  ================================================

``remove_clip_placeholders`` (mmpretrain) is applied only when ``fvgpt.mixing.mmpretrain_clip`` is
imported.

Registering our own parts, a file backend, a checkpoint address or a hook uses extension points of
MMEngine and is not listed. This package imports mmengine, mmcv, mmpretrain and open_clip inside the
functions only, so that the versions are checked before anything can fail.
"""

from .config_prefix import patch_config_prefix
from .mmengine import patch_default_hooks
from .mmpretrain import patch_multimodal, patch_stdout
from .model_hub import patch_model_hub
from .safe_loading import patch_checkpoint_loaders, patch_safe_globals
from .torchvision import patch_torchvision
from .versions import check_versions

PATCHES = (
    patch_torchvision,
    patch_multimodal,
    patch_stdout,
    patch_default_hooks,
    patch_safe_globals,
    patch_checkpoint_loaders,
    patch_config_prefix,
    patch_model_hub,
)


def apply_patches() -> None:
    """Check the installed versions, then apply ``PATCHES`` in order.

    Raises:
        MissingPackageError: a package is missing or its version is not supported.
    """
    check_versions()
    for patch in PATCHES:
        patch()
