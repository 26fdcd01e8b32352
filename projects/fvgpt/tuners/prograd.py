"""ProGrad: prompt-aligned gradient for prompt tuning (Zhu et al., ICCV 2023)."""

from typing import Dict, List, Optional, Tuple, Union

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import Tensor

from ..clip.frozen_clip import FrozenCLIP
from ..clip.prompts import CUSTOM
from ..registry import MODELS
from .clip_text import HandWrittenText
from .coop import CoOp
from .features import Features

ROUNDING = torch.finfo(torch.float32).eps
"""Relative error of a cosine in float32: all that g_g consists of at zero-shot CLIP."""


def projection(g_d: Tensor, g_g: Tensor, negligible: float) -> Tuple[Tensor, Tensor]:
    """Signed length of g_d along g_g, a scalar, and the direction g_g / |g_g|, shaped as g_g.

    Both are zero if |g_g| <= negligible * |g_d|. With logits z = s cos(f, g), g_d = J^T (p - y)
    and g_g = J^T (p - p0) have the same Jacobian J. A rounding error of eps in a cosine is one of
    s eps in its logit, and of at most that order in p - p0, while p - y is of order 1. So a g_g
    below s eps |g_d| (1.2e-5 |g_d| for s = 100) is rounding: its direction differs between
    processors and between numbers of processes, and means nothing.
    """
    length = g_g.norm()
    known = length > negligible * g_d.norm()
    direction = torch.where(known, g_g / length, torch.zeros_like(g_g))
    return (g_d * direction).sum(), direction


@MODELS.register_module()
class ProGrad(HandWrittenText, CoOp):
    """CoOp whose step never works against zero-shot CLIP (Zhu et al., ICCV 2023).

    With g_d the gradient of CE and g_g that of KL(zero-shot || model): if g_d.g_g < 0, lambda times
    the component of g_d along g_g is subtracted. If ``ctx_init`` has the words of ``template``, the
    tuner starts at zero-shot CLIP, where g_g is zero up to rounding; steps with such a g_g follow
    g_d (:func:`projection`, negligible = s eps).

    Args:
        clip, n_ctx, ctx_init, data_preprocessor: see :class:`~fvgpt.tuners.coop.CoOp`.
        strength: lambda.
        template: hand-written prompt of zero-shot CLIP, see
            :func:`~fvgpt.clip.prompts.resolve_template`.
    """

    def __init__(
        self,
        clip: Union[FrozenCLIP, dict],
        n_ctx: int = 4,
        ctx_init: Optional[str] = 'a photo of a',
        strength: float = 1.0,
        template: str = CUSTOM,
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(clip, n_ctx, ctx_init, data_preprocessor=data_preprocessor)
        self.strength, self.template = strength, template

    def _build_classes(self, class_names: List[str]) -> None:
        super()._build_classes(class_names)
        self.encode_clip_text(class_names)

    def tuning_loss(
        self, image: Features, text: Features, labels: Tensor, original: Optional[Tensor] = None
    ) -> Dict[str, Tensor]:
        """``loss_ce`` with the value of CE and the aligned gradient; ``kl`` and ``conflict`` are
        only logged."""
        z, z0 = self.logits(image, text), self.logits(image, dict(feature=self.clip_text))
        ce = F.cross_entropy(z, labels)
        kl = F.kl_div(z.log_softmax(-1), z0.log_softmax(-1), reduction='batchmean', log_target=True)
        if not z.requires_grad:
            return dict(loss_ce=ce, kl=kl)
        (g_d,) = torch.autograd.grad(ce, self.ctx, retain_graph=True)
        (g_g,) = torch.autograd.grad(kl, self.ctx)
        for gradient in (g_d, g_g):
            all_reduce(gradient, 'mean')  # the angle is that of the whole batch, on all ranks
        along, direction = projection(g_d, g_g, ROUNDING * self.clip.logit_scale)
        step = g_d - self.strength * along.clamp(max=0) * direction
        # A loss with the value of CE and exactly this gradient works with any optimizer wrapper.
        return dict(
            loss_ce=ce.detach() + ((self.ctx - self.ctx.detach()) * step).sum(),
            kl=kl.detach(),
            conflict=(along < 0).float(),
        )
