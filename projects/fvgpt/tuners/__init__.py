"""Prompt tuners, one method per file."""

from .base import PromptTuner
from .clip_adapter import CLIPAdapter
from .cocoop import CoCoOp
from .context import ContextTuner
from .coop import CoOp
from .features import Features, FrozenFeatures, ViewFeatures
from .ivlp import IVLP
from .kgcoop import KgCoOp
from .linear_text import LinearText
from .maple import MaPLe
from .mmrl import MMRL
from .prograd import ProGrad
from .promptsrc import PromptSRC
from .taskres import TaskRes
from .tcp import TCP
from .tip_adapter import TipAdapter
from .zero_shot import ZeroShotCLIP

__all__ = [
    'CLIPAdapter',
    'CoCoOp',
    'CoOp',
    'ContextTuner',
    'Features',
    'FrozenFeatures',
    'IVLP',
    'KgCoOp',
    'LinearText',
    'MMRL',
    'MaPLe',
    'ProGrad',
    'PromptSRC',
    'PromptTuner',
    'TCP',
    'TaskRes',
    'TipAdapter',
    'ViewFeatures',
    'ZeroShotCLIP',
]
