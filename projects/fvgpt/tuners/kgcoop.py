"""KgCoOp: prompt tuning with knowledge-guided context optimization (Yao et al., CVPR 2023)."""

from typing import Dict, List, Optional, Union

from torch import Tensor

from ..clip.frozen_clip import FrozenCLIP
from ..clip.prompts import CUSTOM, fill_template
from ..registry import MODELS
from .clip_text import HandWrittenText, cosine_distance
from .coop import CoOp
from .features import Features

# The teacher's prompts that the original code has instead of CUSTOM_TEMPLATES
TEACHER_TEMPLATES = dict(DescribableTextures='a photo of a {}, a type of texture.')


@MODELS.register_module()
class KgCoOp(HandWrittenText, CoOp):
    """CoOp held close to CLIP's hand-written text features (Yao et al., CVPR 2023):
    L = CE + W (1 - mean_c cos(g_c, g_c^CLIP)).

    Args:
        clip, n_ctx, ctx_init, data_preprocessor: see :class:`~fvgpt.tuners.coop.CoOp`.
        weight: W, over all training classes in each step (2 in FVG-PT, 8 in the original).
        template: hand-written prompt of g^CLIP, see :func:`~fvgpt.clip.prompts.resolve_template`.
            ``custom`` follows the data set, with the original's exception for
            DescribableTextures.
    """

    def __init__(
        self,
        clip: Union[FrozenCLIP, dict],
        n_ctx: int = 4,
        ctx_init: Optional[str] = 'a photo of a',
        weight: float = 2.0,
        template: str = CUSTOM,
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(clip, n_ctx, ctx_init, data_preprocessor=data_preprocessor)
        self.weight, self.template = weight, template

    def _build_classes(self, class_names: List[str]) -> None:
        super()._build_classes(class_names)
        self.encode_clip_text(class_names)

    def hand_written_prompts(self, class_names: List[str]) -> List[str]:
        """One prompt per class."""
        template = self.template
        if template == CUSTOM:
            template = TEACHER_TEMPLATES.get(self.dataset_name or '', CUSTOM)
        return fill_template(template, class_names, self.dataset_name)

    def tuning_loss(
        self, image: Features, text: Features, labels: Tensor, original: Optional[Tensor] = None
    ) -> Dict[str, Tensor]:
        """``loss_ce`` and ``loss_kg`` = W (1 - mean_c cos(g_c, g_c^CLIP))."""
        terms = super().tuning_loss(image, text, labels)
        distance = cosine_distance(text['feature'], self.clip_text)
        return dict(loss_ce=terms['loss'], loss_kg=self.weight * distance)
