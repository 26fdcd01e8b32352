"""Base class of the segmenters, and how one is built by name."""

import importlib
import inspect
from abc import ABC, abstractmethod
from types import ModuleType
from typing import Dict, List

import numpy as np
from mmengine.registry import Registry

from ..io.errors import MissingPackageError, UserError

SEGMENTERS = Registry('foreground segmenter', locations=['fvgpt.segmentation'])


class ForegroundSegmenter(ABC):
    """Predicts the foreground of images.

    Sub-classes are registered in ``SEGMENTERS``. The arguments of ``__init__`` are the options of
    the command line (among them ``model`` and ``device`` if the segmenter has these). ``__init__``
    loads everything, so that missing files and packages are reported before work starts, and
    imports optional libraries with :func:`import_library`.

    Attributes:
        device: torch device on which it runs.
        single_threaded: whether it uses only one CPU core, so that one process per core is fastest.
    """

    device = 'cpu'
    single_threaded = False

    @abstractmethod
    def segment(self, images: List[np.ndarray]) -> List[np.ndarray]:
        """Foreground probability of each image.

        Args:
            images: arrays (H, W, 3) uint8, RGB, of any sizes.

        Returns:
            For each image an array (H, W) float32 in [0, 1]. Hard masks contain 0 and 1.
        """


def build_segmenter(name: str, options: Dict[str, object]) -> ForegroundSegmenter:
    """Build a segmenter.

    Args:
        name: registered name, or dotted path of a class.
        options: arguments of its ``__init__``.

    Raises:
        UserError: the name or an option is unknown, or a required option is missing.
    """
    known = sorted(SEGMENTERS.module_dict)
    segmenter = SEGMENTERS.get(name) if name in known or '.' in name else None
    if not (inspect.isclass(segmenter) and issubclass(segmenter, ForegroundSegmenter)):
        raise UserError(
            f'there is no segmenter {name!r}; choose {", ".join(known)}, or the dotted path of a '
            'class derived from fvgpt.segmentation.ForegroundSegmenter'
        )
    parameters = inspect.signature(segmenter).parameters
    unknown = [key for key in options if key not in parameters]
    absent = [key for key, p in parameters.items() if p.default is p.empty and key not in options]
    if unknown or absent:
        raise UserError(
            f'the segmenter {name} {"takes no" if unknown else "needs"} '
            f'{", ".join(unknown or absent)}; its options are {", ".join(parameters) or "none"}'
        )
    return segmenter(**options)


def import_library(name: str, install: str) -> ModuleType:
    """Import an optional library.

    Args:
        name: module name.
        install: how to install it, for the message.

    Raises:
        MissingPackageError: the import fails.
    """
    try:
        return importlib.import_module(name)
    # AssertionError: packages of OpenMMLab assert the versions of each other
    except (ImportError, AssertionError) as error:
        raise MissingPackageError(f'{name} cannot be imported ({error}); {install}') from error
