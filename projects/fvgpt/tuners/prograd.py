"""ProGrad: prompt-aligned gradient for prompt tuning (Zhu et al., ICCV 2023)."""

from typing import Dict, Optional, Sequence, Union

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import Tensor

from ..clip.frozen_clip import FrozenCLIP
from ..clip.prompts import CUSTOM
from ..registry import MODELS
from .base import Features, Inputs
from .kgcoop import KgCoOp


@MODELS.register_module()
class ProGrad(KgCoOp):
    """CoOp whose step never works against zero-shot CLIP (Zhu et al., ICCV 2023).

    With g_d the gradient of CE and g_g that of KL(zero-shot || model): where g_d.g_g < 0 the component of g_d along g_g is
    taken out, times lambda. CLIP's hand-written text features are kept as KgCoOp keeps them.

    Args:
        clip, n_ctx, ctx_init, template, class_names, data_preprocessor: see :class:`~fvgpt.tuners.kgcoop.KgCoOp`.
        strength: lambda.
    """

    def __init__(
        self,
        clip: Union[FrozenCLIP, dict],
        n_ctx: int = 4,
        ctx_init: Optional[str] = 'a photo of a',
        strength: float = 1.0,
        template: str = CUSTOM,
        class_names: Optional[Sequence[str]] = None,
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(clip, n_ctx, ctx_init, 0.0, template, class_names, data_preprocessor)
        self.strength = strength

    def tuning_loss(
        self, image: Features, text: Features, images: Inputs, labels: Tensor
    ) -> Dict[str, Tensor]:
        """``loss_ce`` with the value of CE and the aligned gradient; ``kl`` and ``conflict`` are for the log."""
        z, z0 = self.logits(image, text), self.logits(image, dict(feature=self._clip_text))
        ce = F.cross_entropy(z, labels)
        kl = F.kl_div(z.log_softmax(-1), z0.log_softmax(-1), reduction='batchmean', log_target=True)
        if not z.requires_grad:
            return dict(loss_ce=ce, kl=kl)
        (g_d,) = torch.autograd.grad(ce, self.ctx, retain_graph=True)
        (g_g,) = torch.autograd.grad(kl, self.ctx)
        for gradient in (g_d, g_g):
            all_reduce(
                gradient, 'mean'
            )  # the angle that counts is that of the whole batch, on all processes
        direction = g_g / g_g.norm().clamp(min=1e-12)
        along = (g_d * direction).sum()
        step = g_d - self.strength * along.clamp(max=0) * direction
        # A loss with the value of CE and exactly this gradient, so that any optimizer wrapper can take it from here.
        return dict(
            loss_ce=ce.detach() + ((self.ctx - self.ctx.detach()) * step).sum(),
            kl=kl.detach(),
            conflict=(along < 0).float(),
        )
