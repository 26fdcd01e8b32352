"""What must be set right before OpenMMLab's libraries are imported next to today's torch.

Nothing here imports mmengine, mmcv, mmpretrain or open_clip at module level: ``fvgpt/__init__.py`` calls
:func:`prepare` first.
"""
import codecs
import contextlib
import importlib.metadata
import pickle
import re
import sys
from typing import Callable, List, Tuple

import torch

# package -> (lowest supported version, first version that is known not to work or was never tried)
SUPPORTED = {
    'torch': ('2.4', '3'),
    'mmengine': ('0.10.0', '1'),
    'mmcv': ('2.0.0', '2.4.0'),
    'mmpretrain': ('1.2.0', '2'),
    'open_clip_torch': ('3.0', '4'),
}
# module -> what provides it under another name than its own: mmcv without operators, and the maintained forks of OneDL
_PROVIDERS = {'mmengine': ['onedl-mmengine'], 'mmcv': ['mmcv-lite', 'onedl-mmcv'], 'mmpretrain': ['onedl-mmpretrain']}

_libraries: List[torch.library.Library] = []  # torch forgets a definition when its Library is collected


def release(version: str) -> Tuple[int, ...]:
    """(2, 13, 0) for ``2.13.0+cpu``."""
    return tuple(int(part) for part in re.findall(r'\d+', version.split('+')[0])[:3])


def _installed(package: str) -> str:
    for distribution in (package, *_PROVIDERS.get(package, [])):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ''


def check_versions() -> None:
    """Compare the installed packages with ``SUPPORTED``.

    Raises:
        ImportError: one message that names every package that is missing or outside its range.
    """
    problems = []
    for package, (lowest, excluded) in SUPPORTED.items():
        version = _installed(package)
        if not version:
            problems.append(f'{package} is not installed (needs >={lowest}, <{excluded})')
        elif not release(lowest) <= release(version) < release(excluded):
            problems.append(f'{package} {version} is installed (needs >={lowest}, <{excluded})')
    if problems:
        raise ImportError('fvgpt cannot run here: ' + '; '.join(problems) +
                          '. `pip install -r requirements.txt` in the fvgpt checkout installs versions that work.')


def mend_torchvision() -> None:
    """Let ``import torchvision`` work where its compiled operators do not load (its wheel beside CPU torch).

    torchvision registers meta kernels for two operators that only its compiled library defines. We and mmpretrain use
    its Python transforms alone, so defining the two schemas is enough; where the operators exist nothing is done.
    """
    try:
        import torchvision
        return
    except RuntimeError as error:
        if 'torchvision::' not in str(error):
            raise
    library = torch.library.Library('torchvision', 'DEF')
    library.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
    library.define('qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
    _libraries.append(library)
    import torchvision  # noqa: F401


def mend_multimodal() -> None:
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
        except Exception:  # a NameError where transformers has no use for a torch that is too old for it
            dependency.WITH_MULTIMODAL = False


def keep_stdout_clean() -> None:
    """Import mmpretrain's data sets with what they print on stderr.

    OneDL's fork says on stdout that an SDK of theirs is missing, and would spoil what commands answer there, such as JSON.
    """
    with contextlib.redirect_stdout(sys.stderr):
        import mmpretrain.datasets  # noqa: F401


def allow_mmengine_checkpoints() -> None:
    """Allow-list what an MMEngine checkpoint holds beside tensors, so that ``weights_only=True`` can read it.

    MMEngine keeps smoothed log values in ``HistoryBuffer`` objects: numpy arrays, and references to four of its own
    methods, pickled as calls of ``getattr``. That name is mapped to a function that hands out those four and nothing
    else. The time left, ``eta``, is a numpy number. Checkpoints of fvgpt hold plain values (see ``ProvenanceHook``); this is
    for those of other OpenMMLab runs.
    """
    import numpy as np
    from mmengine.logging.history_buffer import HistoryBuffer

    def statistic(owner, name: str):
        if owner is not HistoryBuffer or name not in ('min', 'max', 'current', 'mean'):
            raise pickle.UnpicklingError(f'the checkpoint asks for the attribute {name!r} of {owner!r}, which is refused')
        return getattr(owner, name)

    def named(function: Callable, name: str) -> Callable:
        """A function that torch finds by another name (from 2.5 on a pair with the name would do)."""
        def other(*arguments):
            return function(*arguments)
        other.__module__, _, other.__qualname__ = name.rpartition('.')
        other.__name__ = other.__qualname__
        return other

    multiarray = (np._core if hasattr(np, '_core') else np.core).multiarray
    kinds = [type(np.dtype(kind)) for kind in ('float64', 'float32', 'int64', 'int32')]
    parts = [named(getattr(multiarray, name), f'numpy.{core}.multiarray.{name}')  # by numpy below 2, and from it on
             for core in ('core', '_core') for name in ('_reconstruct', 'scalar')]
    torch.serialization.add_safe_globals(  # codecs.encode makes bytes of text; torch allows it itself from 2.5 on
        [HistoryBuffer, np.ndarray, np.dtype, *kinds, *parts, codecs.encode, named(statistic, 'builtins.getattr')])


def prepare() -> None:
    """Everything above, once, at ``import fvgpt``."""
    check_versions()
    mend_torchvision()
    mend_multimodal()
    keep_stdout_clean()
    allow_mmengine_checkpoints()
