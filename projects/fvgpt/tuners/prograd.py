"""ProGrad: prompt-aligned gradient for prompt tuning (Zhu et al., ICCV 2023)."""

from typing import Dict, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import Tensor

from ..clip.frozen_clip import FrozenCLIP
from ..clip.prompts import CUSTOM
from ..registry import MODELS
from .base import Features, Inputs
from .kgcoop import KgCoOp

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
class ProGrad(KgCoOp):
    """CoOp whose step never works against zero-shot CLIP (Zhu et al., ICCV 2023).

    With g_d the gradient of CE and g_g that of KL(zero-shot || model): if g_d.g_g < 0, lambda times
    the component of g_d along g_g is taken out. If ``ctx_init`` has the words of ``template``, the
    tuner starts at zero-shot CLIP, where g_g is zero up to rounding; steps with such a g_g follow
    g_d (:func:`projection`, negligible = s eps). CLIP's hand-written text features are cached as in
    KgCoOp.

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
        along, direction = projection(g_d, g_g, ROUNDING * self.clip.logit_scale)
        step = g_d - self.strength * along.clamp(max=0) * direction
        # A loss with the value of CE and exactly this gradient, so that any optimizer wrapper can take it from here.
        return dict(
            loss_ce=ce.detach() + ((self.ctx - self.ctx.detach()) * step).sum(),
            kl=kl.detach(),
            conflict=(along < 0).float(),
        )
