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
LOGITS = ('cosine', 'residual')


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

    def uncompensated(self) -> Tensor:
        """L2Norm(feature), (N, D); bit for bit :meth:`compensated` if the residual is zero."""
        return F.normalize(self.feature, dim=-1)

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
        residual_init: initial residual (decision O8). ``zero``: last layer 0, so that f~ and g~
            equal the normalised f and g exactly. ``small_weight``: last weight ~ N(0, init_scale),
            bias 0. ``layer_scale``: torch's default layers times a learned scalar that starts at
            init_scale (one more parameter per adapter).
        init_scale: see ``residual_init`` (RDBOOST_FDC_INIT_SCALE).
        logit_scale: s (RDBOOST_LOGIT_SCALE); set by FVGPT to that of the tuned CLIP, which is 100
            for OpenAI's weights.
        fdc_logits: ``cosine`` is the paper's z_FDC = s f~.g~. It ignores a logits rule of the
            tuner's own (Tip-Adapter's cache, MMRL's second feature, CoCoOp's text per image):
            without residual it equals the tuner's logits only if these are s cos(f, g).
            ``residual`` adds to the tuner's logits what the adapters change:
            z_FDC = z_tuner + s (f~.g~ - f.g) with f and g normalised. Without residual that is
            z_tuner exactly, for every tuner. (Not in the paper.)

    Raises:
        UserError: an unknown ``adapter_input``, ``residual_init`` or ``fdc_logits``.
    """

    def __init__(
        self,
        dim: int,
        bottleneck: int = 64,
        adapter_input: str = 'raw',
        residual_init: str = 'zero',
        init_scale: float = 1e-3,
        logit_scale: float = 100.0,
        fdc_logits: str = 'cosine',
    ):
        super().__init__()
        for key, value, choices in (
            ('adapter_input', adapter_input, INPUTS),
            ('residual_init', residual_init, RESIDUAL_INITS),
            ('fdc_logits', fdc_logits, LOGITS),
        ):
            if value not in choices:
                raise UserError(f'{key} must be one of {choices}, not {value!r}')
        self.adapter_input, self.logit_scale = adapter_input, logit_scale
        self.fdc_logits = fdc_logits
        self.adapter_image = Adapter(dim, bottleneck, residual_init, init_scale)
        self.adapter_text = Adapter(dim, bottleneck, residual_init, init_scale)

    def residual(self, adapter: Adapter, feature: Tensor) -> Residual:
        """Residual of raw features (N, D), computed outside autocast."""
        with torch.autocast(feature.device.type, enabled=False):
            feature = at_least_float32(feature)
            if self.adapter_input == 'unit':
                feature = F.normalize(feature, dim=-1)
            return Residual(feature, adapter(feature))

    def image_residual(self, f: Tensor) -> Residual:
        """Residual of a view's raw image features (B, D)."""
        return self.residual(self.adapter_image, f)

    def residuals(self, f: Tensor, g: Tensor) -> Tuple[Residual, Residual]:
        """Residuals of the full view's raw image features (B, D) and raw text features (C, D)."""
        return self.image_residual(f), self.residual(self.adapter_text, g)

    def compensate(self, adapter: Adapter, feature: Tensor) -> Tensor:
        """f~ or g~ (N, D), of unit length, of raw features (N, D)."""
        return self.residual(adapter, feature).compensated()

    @property
    def reads_tuner_logits(self) -> bool:
        """Whether :meth:`logits` adds to the tuner's logits."""
        return self.fdc_logits == 'residual'

    def logits(self, image: Residual, text: Residual, z_tuner: Optional[Tensor] = None) -> Tensor:
        """z_FDC (B, C), computed outside autocast.

        Args:
            image, text: of :meth:`residuals`.
            z_tuner: (B, C), the tuner's logits of the same view; read by ``residual`` only.
        """
        with torch.autocast(image.feature.device.type, enabled=False):
            z = self.logit_scale * image.compensated() @ text.compensated().T
            if not self.reads_tuner_logits:
                return z
            assert z_tuner is not None, "fdc_logits='residual' adds to the tuner's logits"
            before = self.logit_scale * image.uncompensated() @ text.uncompensated().T
            return at_least_float32(z_tuner) + (z - before)

    def forward(self, f: Tensor, g: Tensor, z_tuner: Optional[Tensor] = None) -> Tensor:
        """z_FDC (B, C) of raw image features (B, D) of a view and text features (C, D).

        Args:
            f, g: raw features.
            z_tuner: see :meth:`logits`.
        """
        return self.logits(*self.residuals(f, g), z_tuner)
