"""What a foreground segmenter is, and how one is chosen by name."""

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
    """Finds the foreground of images.

    A sub-class is registered in ``SEGMENTERS``; its ``__init__`` takes the options of the command line by name (``model``
    and ``device`` where it has them) and loads everything, so that what is missing is told before work starts. Libraries
    that not everybody has are imported there, by :func:`import_library`.
    """

    device = 'cpu'
    single_threaded = False  # True: it gains nothing from several cores, so that one process a core is the right number

    @abstractmethod
    def segment(self, images: List[np.ndarray]) -> List[np.ndarray]:
        """Foreground probability of each image.

        Args:
            images: (H, W, 3) uint8, RGB, any sizes.

        Returns:
            (H, W) float32 in [0, 1] each. Hard masks are 0 and 1.
        """


def build_segmenter(name: str, options: Dict[str, object]) -> ForegroundSegmenter:
    """The segmenter ``name``, a registered one or the dotted path of a class.

    Raises:
        ValueError: there is none of that name, or it does not take the options.
    """
    known = sorted(SEGMENTERS.module_dict)
    segmenter = SEGMENTERS.get(name) if name in known or '.' in name else None
    if not (inspect.isclass(segmenter) and issubclass(segmenter, ForegroundSegmenter)):
        raise UserError(
            f'there is no segmenter {name!r}; choose {", ".join(known)}, or the dotted path of a class derived '
            'from fvgpt.segmentation.ForegroundSegmenter'
        )
    parameters = inspect.signature(segmenter).parameters
    unknown = [key for key in options if key not in parameters]
    absent = [key for key, p in parameters.items() if p.default is p.empty and key not in options]
    if unknown or absent:
        raise UserError(
            f'the segmenter {name} {"takes no" if unknown else "needs"} {", ".join(unknown or absent)}; '
            f'its options are {", ".join(parameters) or "none"}'
        )
    return segmenter(**options)


def import_library(name: str, install: str) -> ModuleType:
    """Import an optional library.

    Raises:
        ImportError: says how to install it.
    """
    try:
        return importlib.import_module(name)
    except (
        ImportError,
        AssertionError,
    ) as error:  # OpenMMLab asserts the versions of its own packages
        raise MissingPackageError(f'{name} cannot be imported ({error}); {install}') from error
