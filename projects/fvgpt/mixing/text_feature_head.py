"""Head that classifies the features of any mmpretrain network by a tuner's text features."""

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
    """z_c = s cos(W h + a, g_c) with a tuner's text features g (C, D); only W and a are learned.

    As in a tuner, classes are names: ``ClassNamesHook`` sets those of the data set, and a network
    can be tested on other classes than it was trained on. Of the tuner only
    :meth:`~fvgpt.tuners.PromptTuner.encode_text` is used, neither its image features nor its own
    logits. Its parameters are frozen; the network's checkpoint contains them.

    Args:
        in_channels: width of the network's feature h.
        tuner: config of the tuner, or a trained one.
        checkpoint: of the tuner, or of FVG-PT on it; required with the config of a tuner that has
            parameters.
        logit_scale: s; by default CLIP's own, which is large for a network trained from scratch.
        kwargs: ``loss``, ``topk``, ``cal_acc`` and ``init_cfg``, see mmpretrain's ClsHead.

    Raises:
        UserError: there is no checkpoint though one is required, or it is broken, or of another
            tuner, CLIP or size.
        MissingFileError: there is no such checkpoint.
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
                f'TextFeatureHead needs a trained {type(self.tuner).__name__}: give its '
                '`checkpoint`'
            )
        self.tuner.requires_grad_(False).eval()
        self.logit_scale = logit_scale or self.tuner.clip.logit_scale
        self.trained_class_names: Tuple[str, ...] = ()
        self.projection = nn.Linear(in_channels, self.tuner.clip.embed_dim)

    def train(self, mode: bool = True) -> 'TextFeatureHead':
        """Set training mode; the tuner stays in evaluation mode."""
        super().train(mode)
        self.tuner.eval()
        return self

    # ------------------------------------------------------------------ interface of ClassNamesHook
    @property
    def class_names(self) -> List[str]:
        """Names of the classes, in label order."""
        return self.tuner.class_names

    @property
    def branch(self) -> str:
        """Branch of the current classes: ``base``, ``new`` or ``open``."""
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
        """Record the classes that the network is trained on; the tuner's may be different ones."""
        self.trained_class_names = tuple(class_names)

    # ------------------------------------------------------------------ mmpretrain's head
    def forward(self, feats: Tuple[Tensor, ...]) -> Tensor:
        """Logits (B, C), float32, of features of several layers, the last (B, in_channels).

        Raises:
            NotReadyError: the class names were not set.
        """
        if not self.class_names:
            raise NotReadyError(
                "TextFeatureHead does not know its classes yet: add dict(type='ClassNamesHook') to "
                'custom_hooks, so that they come from the data set, or call set_class_names()'
            )
        f = F.normalize(self.projection(self.pre_logits(feats)).float(), dim=-1)
        g = F.normalize(self.tuner.cached_text()['feature'].float(), dim=-1)
        return self.logit_scale * f @ g.T
