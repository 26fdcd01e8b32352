"""Reading the tensors of a TorchScript archive without running the program in it.

OpenAI published CLIP's weights as TorchScript archives (``ViT-B-16.pt``).
"""

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Tuple

import torch
from torch import Tensor

from ..io.errors import UserError

# Largest data.pkl (the index of the tensors) in bytes. That of ViT-L/14 has less than 1/100 of it.
_LARGEST_INDEX = 64 << 20
_STORAGES = dict(
    HalfStorage=torch.float16,
    BFloat16Storage=torch.bfloat16,
    FloatStorage=torch.float32,
    DoubleStorage=torch.float64,
    LongStorage=torch.int64,
    IntStorage=torch.int32,
    ShortStorage=torch.int16,
    CharStorage=torch.int8,
    ByteStorage=torch.uint8,
    BoolStorage=torch.bool,
)


class _Inert:
    """Replaces every class and function of the archive that is not a tensor.

    It accepts any arguments and does nothing with them; only the attributes are stored.
    """

    state: Dict[str, Any] = {}

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, dict) else {}


def _tensor(
    storage: Tensor, offset: int, size: Tuple[int, ...], stride: Tuple[int, ...], *_
) -> Tensor:
    """Replacement of ``torch._utils._rebuild_tensor_v2``."""
    # as_strided raises a RuntimeError if the tensor would reach beyond its storage.
    return storage.as_strided(size, stride, offset)


class _Reader(pickle.Unpickler):
    """Unpickler of tensors and dictionaries; every other class becomes :class:`_Inert`."""

    def __init__(self, archive: zipfile.ZipFile, folder: str):
        super().__init__(archive.open(f'{folder}/data.pkl'))
        self.archive, self.folder = archive, folder
        self.storages: Dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == 'torch' and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) == ('torch._utils', '_rebuild_tensor_v2'):
            return _tensor
        if (module, name) == ('collections', 'OrderedDict'):
            return OrderedDict
        return _Inert

    def persistent_load(self, reference: tuple) -> Tensor:
        _, dtype, key, *_ = reference
        if key not in self.storages:
            content = bytearray(self.archive.read(f'{self.folder}/data/{key}'))
            self.storages[key] = (
                torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)
            )
        return self.storages[key]


def _index_folder(archive: zipfile.ZipFile) -> Optional[str]:
    """Folder with ``data.pkl`` and ``constants.pkl``; None if the archive is not TorchScript."""
    names = archive.namelist()
    folders = {name.rpartition('/')[0] for name in names if name.endswith('/constants.pkl')}
    return next((folder for folder in folders if f'{folder}/data.pkl' in names), None)


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return _index_folder(archive) is not None


def read_torchscript(path: Path) -> Dict[str, Tensor]:
    """Read all tensors of the modules in a TorchScript archive.

    Returns:
        The tensors on the CPU, by their names in ``torch.jit.load(path).state_dict()``. Tensors
        that are plain attributes of a module are included.

    Raises:
        ValueError: the file is not TorchScript, its tensors are compressed (TorchScript never
            compresses them; a small file could fill the memory), or it is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        folder = _index_folder(archive)
        if folder is None:
            raise UserError('it is not a TorchScript archive')
        index_size = archive.getinfo(f'{folder}/data.pkl').file_size
        tensor_bytes = sum(
            member.file_size
            for member in archive.infolist()
            if member.filename.startswith(f'{folder}/data/')
        )
        if index_size > _LARGEST_INDEX or tensor_bytes > path.stat().st_size:
            raise UserError('its tensors are compressed, or their index is too large')
        return dict(_tensors(_Reader(archive, folder).load()))


def _tensors(module: Any, prefix: str = '') -> Iterator[Tuple[str, Tensor]]:
    for name, value in module.state.items():
        if isinstance(value, Tensor):
            yield f'{prefix}{name}', value
        elif isinstance(value, _Inert):
            yield from _tensors(value, f'{prefix}{name}.')
