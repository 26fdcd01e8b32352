"""One linear map of the text features, the smallest tuner that does not need CLIP's towers."""

from typing import List, Optional, Union

from torch import nn

from ..clip.frozen_clip import FrozenCLIP
from ..clip.prompts import PLAIN_TEMPLATE
from ..names import Source
from ..registry import MODELS
from .clip_text import HandWrittenText
from .features import Features


@MODELS.register_module()
class LinearText(HandWrittenText):
    """g = W g0, with the original CLIP's text features g0 of a hand-written prompt.

    W (D, D) is the identity at first, so training starts from zero-shot CLIP. It is shared by all
    classes and applies to new ones. The length of g0 changes neither the logits nor the gradient.
    (A linear probe of the text side; of no paper in particular.)

    Args:
        clip, template, data_preprocessor: see :class:`~fvgpt.tuners.zero_shot.ZeroShotCLIP`.
    """

    source = Source.TUNER

    def __init__(
        self,
        clip: Union[FrozenCLIP, dict],
        template: str = PLAIN_TEMPLATE,
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(clip, data_preprocessor)
        self.template = template
        dim = self.clip.embed_dim
        self.map = nn.Linear(dim, dim, bias=False)
        nn.init.eye_(self.map.weight)

    def _build_classes(self, class_names: List[str]) -> None:
        self.encode_clip_text(class_names)

    def encode_text(self) -> Features:
        """W g0, (C, D)."""
        return dict(feature=self.map(self.clip_text))
