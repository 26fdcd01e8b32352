"""KgCoOp: visual-language prompt tuning with knowledge-guided context optimization (Yao et al., CVPR 2023)."""

from typing import Dict, List, Optional, Sequence, Union

import torch.nn.functional as F
from torch import Tensor

from ..clip.frozen_clip import FrozenCLIP
from ..clip.prompts import CUSTOM, fill_template
from ..registry import MODELS
from .base import Features, Inputs
from .coop import CoOp


def cosine_distance(one: Tensor, other: Tensor) -> Tensor:
    """1 - mean_c cos(one_c, other_c) of features (C, D), a scalar."""
    return 1 - F.cosine_similarity(one, other, dim=-1, eps=1e-7).mean()


@MODELS.register_module()
class KgCoOp(CoOp):
    """CoOp held near CLIP's hand-written text features: L = CE + W (1 - mean_c cos(g_c, g_c^CLIP))
    (Yao et al., CVPR 2023).

    Args:
        clip, n_ctx, ctx_init, class_names, data_preprocessor: see :class:`~fvgpt.tuners.coop.CoOp`.
        weight: W, over all training classes in each step (2 in FVG-PT, 8 in the original).
        template: hand-written prompt of g^CLIP, see :func:`~fvgpt.clip.resolve_template`.
    """

    def __init__(
        self,
        clip: Union[FrozenCLIP, dict],
        n_ctx: int = 4,
        ctx_init: Optional[str] = 'a photo of a',
        weight: float = 2.0,
        template: str = CUSTOM,
        class_names: Optional[Sequence[str]] = None,
        data_preprocessor: Optional[dict] = None,
    ):
        self.weight, self.template = weight, template
        super().__init__(
            clip, n_ctx, ctx_init, class_names=class_names, data_preprocessor=data_preprocessor
        )

    def _build_classes(self, class_names: List[str]) -> None:
        super()._build_classes(class_names)
        prompts = fill_template(self.template, class_names, self.dataset_name)
        self.register_buffer('_clip_text', self.clip.encode_text(prompts), persistent=False)

    def tuning_loss(
        self, image: Features, text: Features, images: Inputs, labels: Tensor
    ) -> Dict[str, Tensor]:
        """``loss_ce`` and ``loss_kg`` = W (1 - mean_c cos(g_c, g_c^CLIP))."""
        terms = super().tuning_loss(image, text, images, labels)
        return dict(
            loss_ce=terms['loss'],
            loss_kg=self.weight * cosine_distance(text['feature'], self._clip_text),
        )
