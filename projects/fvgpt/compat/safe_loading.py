"""Read checkpoints as tensors and plain values only, so that no pickled code is run."""

import codecs
import pickle
import re
import zipfile
from functools import partial
from pathlib import Path
from typing import Any, Callable, List

import torch

from ..io.errors import UserError
from ..io.suggest import missing_file


def patch_safe_globals() -> None:
    """Add what MMEngine's checkpoints contain beside tensors to torch's safe globals.

    With these, ``torch.load(weights_only=True)`` reads checkpoints of other OpenMMLab runs.
    (Checkpoints of fvgpt contain plain values only, see ``ProvenanceHook``.) They contain:

    - smoothed log values as ``HistoryBuffer`` objects, which are made of numpy arrays and
      references to four of their own methods, pickled as calls of ``getattr``. ``getattr`` itself
      would be unsafe, so its name is mapped to :func:`_history_statistic`.
    - the estimated remaining time, ``eta``, as a numpy number.
    - bytes, pickled as calls of ``codecs.encode`` (torch itself allows these from 2.5 on).
    """
    import numpy as np
    from mmengine.logging.history_buffer import HistoryBuffer

    dtypes = [type(np.dtype(name)) for name in ('float64', 'float32', 'int64', 'int32')]
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            np.ndarray,
            np.dtype,
            *dtypes,
            *_numpy_constructors(),
            codecs.encode,
            _with_name(_history_statistic, 'builtins.getattr'),
        ]
    )


def _history_statistic(owner, name: str):
    """``getattr`` restricted to the four methods that a pickled ``HistoryBuffer`` refers to."""
    from mmengine.logging.history_buffer import HistoryBuffer

    if owner is not HistoryBuffer or name not in ('min', 'max', 'current', 'mean'):
        raise pickle.UnpicklingError(
            f'the checkpoint asks for the attribute {name!r} of {owner!r}, which is refused'
        )
    return getattr(owner, name)


def _numpy_constructors() -> List[Callable]:
    """Functions that rebuild numpy arrays and numbers, under their names in numpy 1 and numpy 2."""
    import numpy as np

    multiarray = (np._core if hasattr(np, '_core') else np.core).multiarray
    return [
        _with_name(getattr(multiarray, name), f'numpy.{core}.multiarray.{name}')
        for core in ('core', '_core')
        for name in ('_reconstruct', 'scalar')
    ]


def _with_name(function: Callable, name: str) -> Callable:
    """``function`` under the dotted name by which a checkpoint refers to it.

    From torch 2.5 on ``add_safe_globals`` takes pairs of function and name; 2.4 does not.
    """

    def renamed(*arguments):
        return function(*arguments)

    renamed.__module__, _, renamed.__qualname__ = name.rpartition('.')
    renamed.__name__ = renamed.__qualname__
    return renamed


def load_tensors(file: Path) -> Any:
    """Read a file of tensors and plain values that was written by ``torch.save``, to the CPU.

    Raises:
        UserError: the file is damaged, or contains objects that would have to be unpickled.
    """
    try:
        if zipfile.is_zipfile(file):
            _refuse_compressed(file)
        return torch.load(file, map_location='cpu', weights_only=True)
    except Exception as error:
        raise UserError(
            f'{file} cannot be read as a checkpoint of tensors and plain values: {_reason(error)}'
        ) from error


def _refuse_compressed(file: Path) -> None:
    """Refuse a ZIP file that would become larger when it is unpacked.

    ``torch.save`` does not compress, and a small compressed file could fill the memory.
    """
    with zipfile.ZipFile(file) as archive:
        if sum(member.file_size for member in archive.infolist()) > file.stat().st_size:
            raise UserError('it is compressed')


def _reason(error: Exception) -> str:
    """First sentence of torch's message, without its advice to load the file unsafely."""
    text = str(error).rpartition('WeightsUnpickler error: ')[2]
    return re.split(r'\. |\n', text.strip())[0][:300]


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Checkpoint loader for local files, with the signature that MMEngine expects.

    Args:
        filename: the checkpoint.
        map_location: ignored; tensors are loaded to the CPU.

    Raises:
        UserError: the file does not exist or cannot be read, see :func:`load_tensors`.
    """
    file = Path(filename).expanduser()
    if not file.is_file():
        raise missing_file('checkpoint', filename, '.pth')
    return load_tensors(file)


def patch_checkpoint_loaders() -> None:
    """Make MMEngine read local files with :func:`load_from_local`, downloads with ``weights_only``.

    MMEngine's own loader of local files unpickles any object if torch is older than 2.6, and its
    loader of URLs does with every torch.
    """
    from mmengine.runner import checkpoint

    checkpoint.CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
    checkpoint.load_url = partial(checkpoint.load_url, weights_only=True)
