"""A tuner's text features as the classifier of any mmpretrain network."""

from typing import List, Optional, Sequence, Tuple

import torch.nn.functional as F
from mmpretrain.models import ClsHead
from torch import Tensor, nn

from ..io.errors import NotReadyError, UserError
from ..names import Branch
from ..registry import MODELS
from ..tuners.base import PromptTuner
from ..tuners.checkpoint import load_tuner


@MODELS.register_module()
class TextFeatureHead(ClsHead):
    """z_c = s cos(W h + a, g_c): the text features g (C, D) of a tuned prompt are the classifier, only W and a are learned.

    Classes are names, as for a tuner: ``ClassNamesHook`` brings those of the data set, and a network that was trained on some
    can be tested on others. Of the tuner only :meth:`~fvgpt.tuners.PromptTuner.encode_text` is used; its image side, and
    what it does to logits, play no part. Its parameters are frozen, and are in the network's checkpoint.

    Args:
        in_channels: width of the network's feature h.
        tuner: config of the tuner, or a trained one.
        checkpoint: the tuner's, or FVG-PT's on it; needed with a config of a tuner that has parameters.
        logit_scale: s; left out, CLIP's own, which is sharp for a network that starts from scratch.
        loss, topk, cal_acc, init_cfg: see mmpretrain's ClsHead.

    Raises:
        ValueError: a tuner's config came without a checkpoint.
        FileNotFoundError, ValueError: the checkpoint is missing, broken, or of another tuner, CLIP or size.
    """

    def __init__(
        self,
        in_channels: int,
        tuner: dict,
        checkpoint: Optional[str] = None,
        logit_scale: Optional[float] = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.tuner: PromptTuner = MODELS.build(tuner) if isinstance(tuner, dict) else tuner
        if checkpoint is not None:
            load_tuner(self.tuner, checkpoint)
        elif isinstance(tuner, dict) and list(self.tuner.parameters()):
            raise UserError(
                f'TextFeatureHead needs a trained {type(self.tuner).__name__}: give its `checkpoint`'
            )
        self.tuner.requires_grad_(False).eval()
        self.logit_scale = logit_scale or self.tuner.clip.logit_scale
        self.trained_class_names: Tuple[str, ...] = ()
        self.projection = nn.Linear(in_channels, self.tuner.clip.embed_dim)

    def train(self, mode: bool = True) -> 'TextFeatureHead':
        """As torch has it, but for the tuner, which stays in evaluation mode."""
        super().train(mode)
        self.tuner.eval()
        return self

    # ------------------------------------------------------------------ classes by name, as ClassNamesHook hands them over
    @property
    def class_names(self) -> List[str]:
        """Names of the classes, in label order."""
        return self.tuner.class_names

    @property
    def branch(self) -> str:
        """Which classes these are: ``base``, ``new`` or ``open``."""
        return self.tuner.branch

    def set_class_names(
        self,
        class_names: Sequence[str],
        branch: str = Branch.BASE,
        dataset_name: Optional[str] = None,
    ) -> None:
        """See :meth:`~fvgpt.tuners.classifier.CLIPClassifier.set_class_names`."""
        self.tuner.set_class_names(class_names, branch, dataset_name)

    def set_trained_classes(self, class_names: Sequence[str]) -> None:
        """Note the classes that the network is trained on, which need not be those of the tuner."""
        self.trained_class_names = tuple(class_names)

    # ------------------------------------------------------------------ mmpretrain's head
    def forward(self, feats: Tuple[Tensor, ...]) -> Tensor:
        """Logits (B, C), float32, of features whose last are (B, in_channels)."""
        if not self.class_names:
            raise NotReadyError(
                "TextFeatureHead does not know its classes yet: add dict(type='ClassNamesHook') to "
                'custom_hooks, so that they come from the data set, or call set_class_names()'
            )
        f = F.normalize(self.projection(self.pre_logits(feats)).float(), dim=-1)
        g = F.normalize(self.tuner.cached_text()['feature'].float(), dim=-1)
        return self.logit_scale * f @ g.T
