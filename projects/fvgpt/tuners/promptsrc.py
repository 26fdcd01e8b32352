"""PromptSRC: self-regulating prompts (Khattak et al., ICCV 2023)."""
from typing import Dict, List, Optional, Sequence, Union

import torch.nn.functional as F
from open_clip import OPENAI_IMAGENET_TEMPLATES
from torch import Tensor

from ..clip.frozen_clip import FrozenCLIP
from ..clip.prompts import readable
from ..registry import MODELS
from .base import Features, Inputs
from .ivlp import IVLP

# 60 of OpenAI's 80 templates: "a photo of a {}." first, then the others in order, as in the original
TEMPLATES = [OPENAI_IMAGENET_TEMPLATES[i] for i in (39, *range(39), *range(40, 60))]


@MODELS.register_module()
class PromptSRC(IVLP):
    """IVLP held near untouched CLIP in three ways (Khattak et al., ICCV 2023).

    L = CE(z, y) + w_t mean|g - g0| + w_v mean|f - f0| + sum p0 (ln p0 - ln p) / (B C), with f0 CLIP's feature of the same
    image and g0 the mean of CLIP's text features over 60 templates. The method also averages the prompts over epochs:
    add ``GaussianPromptAggregationHook``.

    Args:
        clip, n_ctx, n_ctx_vision, depth_text, depth_vision, ctx_init, class_names, data_preprocessor: see
            :class:`~fvgpt.tuners.ivlp.IVLP`.
        text_weight: w_t. image_weight: w_v.
    """

    def __init__(self, clip: Union[FrozenCLIP, dict], n_ctx: int = 4, n_ctx_vision: int = 4, depth_text: int = 9,
                 depth_vision: int = 9, ctx_init: Optional[str] = 'a photo of a', text_weight: float = 25.,
                 image_weight: float = 10., class_names: Optional[Sequence[str]] = None,
                 data_preprocessor: Optional[dict] = None):
        self.text_weight, self.image_weight = text_weight, image_weight
        super().__init__(clip, n_ctx, n_ctx_vision, depth_text, depth_vision, ctx_init, class_names, data_preprocessor)

    def _build_classes(self, class_names: List[str]) -> None:
        super()._build_classes(class_names)
        ensemble = sum(self.clip.encode_text([template(readable(name)) for name in class_names]) for template in TEMPLATES)
        self.register_buffer('_clip_text', ensemble / len(TEMPLATES), persistent=False)  # mean before normalisation

    def tuning_loss(self, image: Features, text: Features, images: Inputs, labels: Tensor) -> Dict[str, Tensor]:
        """``loss_ce``, ``loss_text``, ``loss_image`` and ``loss_kl`` of a batch, weighted."""
        z = self.logits(image, text)
        assert isinstance(images, Tensor), 'a trained image tower needs images, not what is kept of them'
        f0, g0 = self.clip.encode_image(images), self._clip_text
        z0 = self.logits(dict(feature=f0), dict(feature=g0))
        unit = lambda x: F.normalize(x.float(), dim=-1)  # noqa: E731
        kl = F.kl_div(z.log_softmax(-1), z0.log_softmax(-1), reduction='sum', log_target=True) / z.numel()
        return dict(loss_ce=F.cross_entropy(z, labels),
                    loss_text=self.text_weight * F.l1_loss(unit(text['feature']), unit(g0)),
                    loss_image=self.image_weight * F.l1_loss(unit(image['feature']), unit(f0)), loss_kl=kl)
