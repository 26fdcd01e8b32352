from .base import Features, PromptTuner
from .cocoop import CoCoOp
from .context import ContextTuner
from .coop import CoOp
from .ivlp import IVLP
from .kgcoop import KgCoOp
from .maple import MaPLe
from .mmrl import MMRL
from .prograd import ProGrad
from .promptsrc import PromptSRC
from .tcp import TCP
from .zero_shot import ZeroShotCLIP

__all__ = ['CoCoOp', 'CoOp', 'ContextTuner', 'Features', 'IVLP', 'KgCoOp', 'MMRL', 'MaPLe', 'ProGrad', 'PromptSRC',
           'PromptTuner', 'TCP', 'ZeroShotCLIP']
