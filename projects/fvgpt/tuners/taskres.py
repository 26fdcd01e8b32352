"""TaskRes: task residual for tuning vision-language models (Yu et al., CVPR 2023)."""

from typing import List, Optional, Sequence, Union

import torch
from torch import Tensor, nn

from ..clip.frozen_clip import FrozenCLIP
from ..clip.precision import at_least_float32
from ..clip.prompts import PLAIN_TEMPLATE
from ..io.errors import UserError
from ..names import Source
from ..registry import MODELS
from .clip_text import HandWrittenText
from .features import Features


@MODELS.register_module()
class TaskRes(HandWrittenText):
    """g_c = g0_c + alpha x_c: a trained residual x_c for each class that was trained on.

    g0 are the original CLIP's text features of a hand-written prompt, here of unit length; x is 0
    at first. New classes have no residual: their logits are those of zero-shot CLIP.

    Args:
        clip, template, data_preprocessor: see :class:`~fvgpt.tuners.zero_shot.ZeroShotCLIP`.
        num_classes: number of classes that are trained on.
        alpha: weight of the residual (0.5 in the paper, on most data sets).

    Raises:
        UserError: the training set has another number of classes.
    """

    source = Source.TUNER

    def __init__(
        self,
        clip: Union[FrozenCLIP, dict],
        num_classes: int,
        alpha: float = 0.5,
        template: str = PLAIN_TEMPLATE,
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(clip, data_preprocessor)
        self.template, self.alpha = template, alpha
        self.residual = nn.Parameter(torch.zeros(num_classes, self.clip.embed_dim))

    def _build_classes(self, class_names: List[str]) -> None:
        self.encode_clip_text(class_names)

    def set_trained_classes(self, class_names: Sequence[str]) -> None:
        """Record the classes of the training set, which are the rows of the residual."""
        if len(class_names) != len(self.residual):
            raise UserError(
                f'TaskRes is trained on {len(class_names)} classes, but '
                f'num_classes={len(self.residual)}; set num_classes to {len(class_names)}'
            )
        super().set_trained_classes(class_names)

    def encode_text(self) -> Features:
        """``|g0| (g0 / |g0| + alpha x)``, (C, D): of the length of g0."""
        g0 = at_least_float32(self.clip_text)
        columns = self._columns(g0.device)
        x = self.residual[columns.clamp(min=0)] * (columns >= 0).unsqueeze(-1)
        return dict(feature=g0 + self.alpha * g0.norm(dim=-1, keepdim=True) * x)

    def _columns(self, device: torch.device) -> Tensor:
        """Row of the residual of each current class, (C,), or -1."""
        if not self.trained_class_names and len(self.class_names) == len(self.residual):
            return torch.arange(len(self.residual), device=device)  # as they will be recorded
        return self.trained_columns(device)
