"""The tensors of a TorchScript archive, the form that OpenAI published its weights in, without loading the program in it."""

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Tuple

import torch
from torch import Tensor

from ..io.errors import UserError

_LARGEST_INDEX = (
    64 << 20
)  # bytes of data.pkl, which names the tensors; that of ViT-L/14 has less than one hundredth
_STORAGES = {
    f'{name}Storage': dtype
    for name, dtype in dict(
        Half=torch.float16,
        BFloat16=torch.bfloat16,
        Float=torch.float32,
        Double=torch.float64,
        Long=torch.int64,
        Int=torch.int32,
        Short=torch.int16,
        Char=torch.int8,
        Byte=torch.uint8,
        Bool=torch.bool,
    ).items()
}


class _Inert:
    """Stands for every class and function of the archive that is no tensor: it takes anything and does nothing."""

    state: Dict[str, Any] = {}

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, dict) else {}


def _tensor(
    storage: Tensor, offset: int, size: Tuple[int, ...], stride: Tuple[int, ...], *_
) -> Tensor:
    return storage.as_strided(size, stride, offset)  # which checks that it stays within the storage


class _Reader(pickle.Unpickler):
    """Finds nothing but :class:`_Inert`, dictionaries and tensors, whatever the pickle asks for."""

    def __init__(self, archive: zipfile.ZipFile, folder: str):
        super().__init__(archive.open(f'{folder}/data.pkl'))
        self.archive, self.folder = archive, folder
        self.storages: Dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == 'torch' and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) == ('torch._utils', '_rebuild_tensor_v2'):
            return _tensor
        return OrderedDict if (module, name) == ('collections', 'OrderedDict') else _Inert

    def persistent_load(self, reference: tuple) -> Tensor:
        _, dtype, key, *_ = reference
        if key not in self.storages:
            content = bytearray(self.archive.read(f'{self.folder}/data/{key}'))
            self.storages[key] = (
                torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)
            )
        return self.storages[key]


def index_of(archive: zipfile.ZipFile) -> Optional[str]:
    """The folder in an archive that holds ``data.pkl`` and ``constants.pkl``; None where it is no TorchScript."""
    folders = {
        name.rpartition('/')[0] for name in archive.namelist() if name.endswith('/constants.pkl')
    }
    return next((folder for folder in folders if f'{folder}/data.pkl' in archive.namelist()), None)


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return index_of(archive) is not None


def read_torchscript(path: Path) -> Dict[str, Tensor]:
    """All tensors of the modules in an archive, by the names of ``torch.jit.load(path).state_dict()``, on the CPU; tensors
    that are mere attributes are among them.

    Raises:
        ValueError: it is no TorchScript, is compressed where TorchScript does not compress, or is broken.
    """
    with zipfile.ZipFile(path) as archive:
        folder = index_of(archive)
        if folder is None:
            raise UserError('it is no TorchScript archive')
        index = archive.getinfo(f'{folder}/data.pkl')
        if (
            index.file_size > _LARGEST_INDEX
            or sum(
                member.file_size
                for member in archive.infolist()
                if member.filename.startswith(f'{folder}/data/')
            )
            > path.stat().st_size
        ):
            raise UserError('its tensors are compressed, or their index is too large')
        return dict(_tensors(_Reader(archive, folder).load()))


def _tensors(module: Any, prefix: str = '') -> Iterator[Tuple[str, Tensor]]:
    for name, value in module.state.items():
        if isinstance(value, Tensor):
            yield f'{prefix}{name}', value
        elif isinstance(value, _Inert):
            yield from _tensors(value, f'{prefix}{name}.')
