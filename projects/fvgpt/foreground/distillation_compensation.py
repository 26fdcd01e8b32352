"""Foreground Distillation Compensation (paper, FDC): adapters of the frozen features."""

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
        """A(f), (N, D), of features (N, D); times the layer scale if there is one."""
        residual = self.up(F.relu(self.down(f)))
        return residual if self.scale is None else self.scale * residual


class Residual(NamedTuple):
    """Input and output of an adapter.

    Attributes:
        feature: (N, D) input.
        added: (N, D) output, the residual that is added to it.
    """

    feature: Tensor
    added: Tensor

    def compensated(self) -> Tensor:
        """L2Norm(feature + added), (N, D)."""
        return F.normalize(self.feature + self.added, dim=-1)

    @torch.no_grad()
    def relative_length(self) -> Tensor:
        """mean_n ``|added_n| / |feature_n|``, a scalar; the first sign of collapse in training."""
        return (self.added.norm(dim=-1) / self.feature.norm(dim=-1)).mean()


@MODELS.register_module()
class ForegroundDistillationCompensation(nn.Module):
    """Adapters of the image and text features, and the base branch's logits (paper, FDC).

    f~ = L2Norm(f + U_v relu(D_v f)), g~ = L2Norm(g + U_t relu(D_t g)), z_FDC = s f~.g~.

    Args:
        dim: D, dimension of the features; set by FVGPT.
        bottleneck: hidden width of the adapters (RDBOOST_BOTTLENECK).
        adapter_input: ``raw`` reads the encoder's features, ``unit`` L2-normalised ones (decision
            O10).
        residual_init: initial residual (decision O8). ``zero``: last layer 0, so that z_FDC equals
            the tuner's logits exactly. ``small_weight``: last weight ~ N(0, init_scale), bias 0.
            ``layer_scale``: torch's default layers times a learned scalar that starts at
            init_scale (one more parameter per adapter).
        init_scale: see ``residual_init`` (RDBOOST_FDC_INIT_SCALE).
        logit_scale: s (RDBOOST_LOGIT_SCALE); set by FVGPT to that of the tuned CLIP, which is 100
            for OpenAI's weights.

    Raises:
        UserError: an unknown ``adapter_input`` or ``residual_init``.
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
        """Residual of raw features (N, D), computed outside autocast."""
        with torch.autocast(feature.device.type, enabled=False):
            feature = at_least_float32(feature)
            if self.adapter_input == 'unit':
                feature = F.normalize(feature, dim=-1)
            return Residual(feature, adapter(feature))

    def residuals(self, f: Tensor, g: Tensor) -> Tuple[Residual, Residual]:
        """Residuals of the full view's raw image features (B, D) and raw text features (C, D)."""
        return self.residual(self.adapter_image, f), self.residual(self.adapter_text, g)

    def compensate(self, adapter: Adapter, feature: Tensor) -> Tensor:
        """f~ or g~ (N, D), of unit length, of raw features (N, D)."""
        return self.residual(adapter, feature).compensated()

    def logits(self, image: Residual, text: Residual) -> Tensor:
        """z_FDC (B, C) of :meth:`residuals`, computed outside autocast."""
        with torch.autocast(image.feature.device.type, enabled=False):
            return self.logit_scale * image.compensated() @ text.compensated().T

    def forward(self, f: Tensor, g: Tensor) -> Tensor:
        """z_FDC (B, C) of raw image features (B, D) of the full view and text features (C, D)."""
        return self.logits(*self.residuals(f, g))
