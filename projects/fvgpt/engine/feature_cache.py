"""Cache of arrays on disk: safe with several processes, bounded, without partial entries."""

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Callable, Dict, Optional

import numpy as np
from filelock import FileLock, Timeout
from mmengine.logging import print_log

from ..io.atomic_write import explain_write_errors
from ..io.errors import UserError, WriteError
from ..io.hash_file import hash_file

_HEAD = 'contents.json'


class FeatureCache:
    """A folder of entries; an entry is a folder of ``.npy`` files with their checksums.

    An entry is renamed into place when it is complete. Its checksums are checked when it is opened;
    if one is wrong, the entry is computed again. There is one lock per key: of several processes
    one computes an entry and the others wait for it.

    Args:
        folder: of the cache; created if missing.
        max_gb: size limit of all entries, in 10^9 bytes; the least recently used are removed.

    Raises:
        WriteError: the folder cannot be written.
    """

    def __init__(self, folder: str, max_gb: float = 20.0):
        self.folder, self.max_bytes = Path(folder).expanduser(), max_gb * 1e9
        with explain_write_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    def get(
        self, identity: Dict[str, object], make: Callable[[], Dict[str, np.ndarray]]
    ) -> Dict[str, np.ndarray]:
        """The arrays of an entry, memory-mapped and read-only; computed and stored if missing.

        Args:
            identity: key of the entry: everything that the arrays depend on, as JSON values.
            make: computes the arrays.

        Raises:
            WriteError: the entry cannot be written, or not be read back.
        """
        text = json.dumps(identity, sort_keys=True)
        entry = self.folder / hashlib.sha256(text.encode()).hexdigest()[:32]
        with FileLock(f'{entry}.lock'):
            arrays = self._open(entry)
            if arrays is None:
                shutil.rmtree(entry, ignore_errors=True)
                arrays = make()
                with explain_write_errors(entry):
                    self._write(entry, arrays, identity)
                arrays = self._open(entry)
                if arrays is None:
                    raise WriteError(
                        f'{entry} cannot be read back after writing it; check the disk'
                    )
        self._shrink(keep=entry)
        return arrays

    @staticmethod
    def _open(entry: Path) -> Optional[Dict[str, np.ndarray]]:
        try:
            head = json.loads((entry / _HEAD).read_text(encoding='utf-8'))
            for name, digest in head['files'].items():
                if file_digest(entry / name) != digest:
                    raise UserError(f'{name} has changed')
            arrays = {
                name.removesuffix('.npy'): np.load(entry / name, mmap_mode='r', allow_pickle=False)
                for name in head['files']
            }
            os.utime(entry / _HEAD)  # the time of last use, for _shrink()
            return arrays
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, AttributeError) as error:
            print_log(
                f'the cached features in {entry} are broken ({error}); they are computed again',
                'current',
                level=30,
            )
            return None

    def _write(
        self, entry: Path, arrays: Dict[str, np.ndarray], identity: Dict[str, object]
    ) -> None:
        partial = Path(tempfile.mkdtemp(prefix=f'{entry.name}.partial-', dir=self.folder))
        try:
            for name, array in arrays.items():
                np.save(partial / f'{name}.npy', array, allow_pickle=False)
            files = {f'{name}.npy': file_digest(partial / f'{name}.npy') for name in arrays}
            (partial / _HEAD).write_text(
                json.dumps(dict(identity=identity, files=files), indent=1), encoding='utf-8'
            )
            os.rename(partial, entry)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _shrink(self, keep: Path) -> None:
        """Remove partial entries of killed processes, and the oldest entries above the size limit.

        The oldest are those that were least recently used.

        Args:
            keep: entry that is not removed.
        """
        with FileLock(self.folder / 'shrink.lock'):
            used, sizes = {}, {}
            for entry in self.folder.iterdir():
                if '.partial-' in entry.name:
                    self._remove(entry)
                elif entry.is_dir():
                    try:
                        used[entry] = (entry / _HEAD).stat().st_mtime
                        sizes[entry] = sum(file.stat().st_size for file in entry.iterdir())
                    except OSError:  # being removed, or broken
                        used[entry] = sizes[entry] = 0
            total = sum(sizes.values())
            for entry in sorted(used, key=used.__getitem__):
                if total <= self.max_bytes:
                    break
                if entry != keep and self._remove(entry):
                    total -= sizes[entry]

    def _remove(self, entry: Path) -> bool:
        """Remove an entry, or a partial one, and return whether it was removed.

        An entry that a process is writing or opening is left. Processes that have it open already
        can still read it.
        """
        key = entry.name.partition('.')[0]
        try:
            with FileLock(self.folder / f'{key}.lock', timeout=0):
                shutil.rmtree(entry, ignore_errors=True)
                return True
        except Timeout:
            return False


def file_digest(path: Path) -> str:
    """blake2b of a file's bytes, 32 hexadecimal digits."""
    return hash_file(path, hashlib.blake2b(digest_size=16)).hexdigest()
