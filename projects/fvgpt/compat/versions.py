"""The packages that this project runs with, and their versions."""

import importlib.metadata
import re
from typing import Tuple

from ..io.errors import MissingPackageError

# package -> (lowest supported version, first version that is known not to work or was never tried)
SUPPORTED = {
    'torch': ('2.4', '3'),
    'mmengine': ('0.10.0', '1'),
    'mmcv': ('2.0.0', '2.4.0'),
    'mmpretrain': ('1.2.0', '2'),
    'open_clip_torch': ('3.0', '4'),
}
# module -> what provides it under another name than its own: mmcv without operators, and the maintained forks of OneDL
_PROVIDERS = {
    'mmengine': ['onedl-mmengine'],
    'mmcv': ['mmcv-lite', 'onedl-mmcv'],
    'mmpretrain': ['onedl-mmpretrain'],
}


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
        raise MissingPackageError(
            'fvgpt cannot run here: '
            + '; '.join(problems)
            + '. `pip install -r requirements.txt` in the fvgpt checkout installs versions that work.'
        )
