"""CLIP-Adapter: better vision-language models with feature adapters (Gao et al., IJCV 2024)."""

from typing import Optional, Union

from torch import Tensor, nn

from ..clip.frozen_clip import FrozenCLIP
from ..clip.precision import at_least_float32
from ..clip.prompts import PLAIN_TEMPLATE
from ..io.errors import UserError
from ..names import Source
from ..registry import MODELS
from .features import Features
from .zero_shot import ZeroShotCLIP


@MODELS.register_module()
class CLIPAdapter(ZeroShotCLIP):
    """Hand-written prompts and a bottleneck on the image feature f0:
    f = a relu(W2 relu(W1 f0)) + (1 - a) f0.

    Args:
        clip, template, data_preprocessor: see :class:`~fvgpt.tuners.zero_shot.ZeroShotCLIP`.
        ratio: a, share of the adapted feature, in [0, 1].
        reduction: the bottleneck has D / reduction units; no biases.

    Raises:
        UserError: ``ratio`` is not in [0, 1].
    """

    source = Source.TUNER

    def __init__(
        self,
        clip: Union[FrozenCLIP, dict],
        ratio: float = 0.2,
        reduction: int = 4,
        template: str = PLAIN_TEMPLATE,
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(clip, template, data_preprocessor)
        if not 0 <= ratio <= 1:
            raise UserError(f'ratio must lie between 0 and 1, not {ratio}')
        self.ratio = ratio
        dim = self.clip.embed_dim
        self.adapter = nn.Sequential(
            nn.Linear(dim, dim // reduction, bias=False),
            nn.ReLU(),
            nn.Linear(dim // reduction, dim, bias=False),
            nn.ReLU(),
        )

    def adapt_image(self, clip_feature: Tensor) -> Features:
        """ratio A(f0) + (1 - ratio) f0, (B, D)."""
        f0 = at_least_float32(clip_feature)
        return dict(feature=self.ratio * self.adapter(f0) + (1 - self.ratio) * f0)
