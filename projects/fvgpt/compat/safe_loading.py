"""Checkpoints are read as tensors and plain values: no pickled object is run, in ours or in MMEngine's loaders."""

import codecs
import pickle
import re
import zipfile
from functools import partial
from pathlib import Path
from typing import Any, Callable

import torch

from ..io.errors import UserError
from ..io.suggest import missing_file


def patch_safe_globals() -> None:
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
            raise pickle.UnpicklingError(
                f'the checkpoint asks for the attribute {name!r} of {owner!r}, which is refused'
            )
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
    parts = [
        named(
            getattr(multiarray, name), f'numpy.{core}.multiarray.{name}'
        )  # by numpy below 2, and from it on
        for core in ('core', '_core')
        for name in ('_reconstruct', 'scalar')
    ]
    torch.serialization.add_safe_globals(  # codecs.encode makes bytes of text; torch allows it itself from 2.5 on
        [
            HistoryBuffer,
            np.ndarray,
            np.dtype,
            *kinds,
            *parts,
            codecs.encode,
            named(statistic, 'builtins.getattr'),
        ]
    )


def load_tensors(file: Path) -> Any:
    """What ``torch.save`` wrote: tensors, plain values and nothing else, on the CPU.

    Raises:
        ValueError: the file is broken, or holds objects that would have to be unpickled.
    """
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(
                file
            ) as archive:  # torch compresses nothing: this is no way to fill the memory
                if sum(member.file_size for member in archive.infolist()) > file.stat().st_size:
                    raise UserError('it is compressed')
        return torch.load(file, map_location='cpu', weights_only=True)
    except Exception as error:
        raise UserError(
            f'{file} cannot be read as a checkpoint of tensors and plain values: {_reason(error)}'
        ) from error


def _reason(error: Exception) -> str:
    """The message without torch's advice, which is to read the file all the same."""
    text = str(error).rpartition('WeightsUnpickler error: ')[2]
    return re.split(r'\. |\n', text.strip())[0][:300]


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """MMEngine's reader of local checkpoints, which unpickles whatever comes with a torch below 2.6; map_location: the CPU."""
    file = Path(filename).expanduser()
    if not file.is_file():
        raise missing_file('checkpoint', filename, '.pth')
    return load_tensors(file)


def patch_checkpoint_loaders() -> None:
    """Let MMEngine read checkpoints by :func:`load_from_local`, and those at an address with ``weights_only``.

    Its own loaders unpickle everything with a torch below 2.6; torch.hub does so with any.
    """
    from mmengine.runner import checkpoint

    checkpoint.CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
    checkpoint.load_url = partial(checkpoint.load_url, weights_only=True)
