from .base import Features, PromptTuner
from .coop import CoOp
from .zero_shot import ZeroShotCLIP

__all__ = ['CoOp', 'Features', 'PromptTuner', 'ZeroShotCLIP']
