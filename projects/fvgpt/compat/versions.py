"""The packages that fvgpt requires, and their supported versions."""

import importlib.metadata
import re
from typing import Tuple

from ..io.errors import MissingPackageError

# package -> (lowest supported version, first version that fails or was never tested)
SUPPORTED = {
    'torch': ('2.4', '3'),
    'mmengine': ('0.10.0', '1'),
    'mmcv': ('2.0.0', '2.4.0'),
    'mmpretrain': ('1.2.0', '2'),
    'open_clip_torch': ('3.0', '4'),
}
# package -> distributions that install the same module under another name: mmcv without compiled
# operators, and the maintained forks of OneDL
_ALTERNATIVES = {
    'mmengine': ['onedl-mmengine'],
    'mmcv': ['mmcv-lite', 'onedl-mmcv'],
    'mmpretrain': ['onedl-mmpretrain'],
}


def release(version: str) -> Tuple[int, ...]:
    """First three numbers of a version: ``2.13.0+cpu`` becomes (2, 13, 0)."""
    return tuple(int(part) for part in re.findall(r'\d+', version.split('+')[0])[:3])


def _installed(package: str) -> str:
    """Version of a package or of an alternative to it; empty if none is installed."""
    for distribution in (package, *_ALTERNATIVES.get(package, [])):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ''


def check_versions() -> None:
    """Compare the installed packages with ``SUPPORTED``.

    Raises:
        MissingPackageError: names every package that is missing or outside its range.
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
            f'fvgpt cannot run here: {"; ".join(problems)}. `pip install -r requirements.txt` in '
            'the fvgpt checkout installs versions that work.'
        )
