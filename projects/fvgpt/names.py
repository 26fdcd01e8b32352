"""Names that configs, data sets, models and result tables share, each defined once.

They are string-valued: ``Branch.NEW == 'new'``, and configs and JSON files contain the strings.
"""

from enum import Enum


class Branch(str, Enum):
    """Which rule predicts: for classes that were trained on, for new ones, or for a mixture."""

    BASE = 'base'
    NEW = 'new'
    OPEN = 'open'

    __str__ = str.__str__


class Subset(str, Enum):
    """Which classes of a data set are taken: all, the base half or the new half."""

    ALL = 'all'
    BASE = 'base'
    NEW = 'new'

    __str__ = str.__str__


class Source(str, Enum):
    """Whose prediction it is: the original CLIP's, the tuner's, or that of FVG-PT on the tuner."""

    ZERO_SHOT = 'zero_shot'
    TUNER = 'tuner'
    FVGPT = 'fvgpt'

    __str__ = str.__str__
