"""Foreground Distillation Compensation: two adapters on the frozen features, taught by both views (paper, FDC)."""

from typing import NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..clip.precision import at_least_float32
from ..io.errors import UserError
from ..registry import MODELS

RESIDUAL_INITS = ('zero', 'small_weight', 'layer_scale')
INPUTS = ('raw', 'unit')


class Adapter(nn.Module):
    """A(f) = U relu(D f), the residual that compensates a feature.

    Args:
        dim: feature dimension.
        bottleneck, residual_init, init_scale: see :class:`ForegroundDistillationCompensation`.
    """

    def __init__(self, dim: int, bottleneck: int, residual_init: str, init_scale: float):
        super().__init__()
        self.down = nn.Linear(dim, bottleneck)
        self.up = nn.Linear(bottleneck, dim)
        self.scale: Optional[nn.Parameter] = None
        if residual_init == 'layer_scale':
            self.scale = nn.Parameter(torch.tensor(init_scale))
        else:
            nn.init.normal_(
                self.up.weight, std=init_scale if residual_init == 'small_weight' else 0.0
            )
            nn.init.zeros_(self.up.bias)

    def forward(self, f: Tensor) -> Tensor:
        """A(f), (N, D), of features (N, D); times the layer scale where there is one."""
        residual = self.up(F.relu(self.down(f)))
        return residual if self.scale is None else self.scale * residual


class Residual(NamedTuple):
    """Features (N, D) as an adapter read them, and what it adds to them (N, D)."""

    feature: Tensor
    added: Tensor

    def compensated(self) -> Tensor:
        """The sum, of unit length, (N, D)."""
        return F.normalize(self.feature + self.added, dim=-1)

    @torch.no_grad()
    def relative_length(self) -> Tensor:
        """Mean length of what is added relative to what it is added to: a collapse shows here first."""
        return (self.added.norm(dim=-1) / self.feature.norm(dim=-1)).mean()


@MODELS.register_module()
class ForegroundDistillationCompensation(nn.Module):
    """f~ = L2Norm(f + U_v relu(D_v f)), g~ = L2Norm(g + U_t relu(D_t g)), z_FDC = s f~.g~ (paper, FDC).

    Args:
        dim: D, dimension of the features; FVGPT fills it in.
        bottleneck: hidden width of the adapters (RDBOOST_BOTTLENECK).
        adapter_input: ``raw`` reads the encoder's features, ``unit`` L2-normalised ones (decision O10).
        residual_init: how the residual starts. ``zero``: last layer 0, so that z_FDC equals the tuner's logits exactly.
            ``small_weight``: last weight ~ N(0, init_scale), bias 0. ``layer_scale``: default layers times a learnable
            scalar that starts at init_scale (one more parameter an adapter). Decision O8.
        init_scale: RDBOOST_FDC_INIT_SCALE.
        logit_scale: s (RDBOOST_LOGIT_SCALE). FVGPT fills in the tuned CLIP's own, which is 100 for OpenAI's weights.
    """

    def __init__(
        self,
        dim: int,
        bottleneck: int = 64,
        adapter_input: str = 'raw',
        residual_init: str = 'zero',
        init_scale: float = 1e-3,
        logit_scale: float = 100.0,
    ):
        super().__init__()
        if adapter_input not in INPUTS:
            raise UserError(f'adapter_input must be one of {INPUTS}, not {adapter_input!r}')
        if residual_init not in RESIDUAL_INITS:
            raise UserError(f'residual_init must be one of {RESIDUAL_INITS}, not {residual_init!r}')
        self.adapter_input, self.logit_scale = adapter_input, logit_scale
        self.adapter_image = Adapter(dim, bottleneck, residual_init, init_scale)
        self.adapter_text = Adapter(dim, bottleneck, residual_init, init_scale)

    def residual(self, adapter: Adapter, feature: Tensor) -> Residual:
        """What an adapter makes of raw features (N, D), outside autocast."""
        with torch.autocast(feature.device.type, enabled=False):
            feature = at_least_float32(feature)
            if self.adapter_input == 'unit':
                feature = F.normalize(feature, dim=-1)
            return Residual(feature, adapter(feature))

    def residuals(self, f: Tensor, g: Tensor) -> Tuple[Residual, Residual]:
        """Of raw image features (B, D) of the full view and raw text features (C, D)."""
        return self.residual(self.adapter_image, f), self.residual(self.adapter_text, g)

    def compensate(self, adapter: Adapter, feature: Tensor) -> Tensor:
        """f~ (N, D), of unit length, of a raw feature (N, D)."""
        return self.residual(adapter, feature).compensated()

    def logits(self, image: Residual, text: Residual) -> Tensor:
        """z_FDC (B, C) of :meth:`residuals`, outside autocast."""
        with torch.autocast(image.feature.device.type, enabled=False):
            return self.logit_scale * image.compensated() @ text.compensated().T

    def forward(self, f: Tensor, g: Tensor) -> Tensor:
        """z_FDC (B, C) of raw image features (B, D) of the full view and raw text features (C, D)."""
        return self.logits(*self.residuals(f, g))
