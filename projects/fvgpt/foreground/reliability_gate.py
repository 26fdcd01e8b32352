"""The two gates of the paper: trust in the foreground view (FRG) and in the original CLIP (BRG)."""

import math
from typing import NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from ..clip.precision import at_least_float32
from ..io.errors import UserError
from ..registry import MODELS


def entropy(p: Tensor) -> Tensor:
    """H(p) = -sum p ln p in nats, over the last dimension; 0 ln 0 = 0."""
    return torch.special.entr(p).sum(-1)


class ReliabilityGate(nn.Module):
    """A small MLP 3 -> hidden -> 1 on statistics of two predictions (paper, FRG and BRG).

    Sub-classes name their statistics in ``STATISTICS``.

    Args:
        inputs: names of the statistics that the gate reads, by default all (Table 6 of the paper
            drops one at a time).
        hidden: width of the hidden layers (RDBOOST_RG_HIDDEN).
        layers: number of linear layers, 1 to 3 (Table 5 of the paper; 2 is the method).
        temperature: tau of the probabilities p = softmax(z / tau).
        normalize_entropy: divide entropies by ln C, so that they do not depend on the number of
            classes (option of decision O12; the method does not).

    Raises:
        UserError: an invalid number of layers, or unknown ``inputs``.
    """

    STATISTICS: Tuple[str, ...]

    def __init__(
        self,
        inputs: Optional[Sequence[str]] = None,
        hidden: int = 32,
        layers: int = 2,
        temperature: float = 2.0,
        normalize_entropy: bool = False,
    ):
        super().__init__()
        if layers not in (1, 2, 3):
            raise UserError(f'layers must be 1, 2 or 3, not {layers}')
        inputs = self.STATISTICS if inputs is None else tuple(inputs)
        if not inputs or set(inputs) - set(self.STATISTICS):
            raise UserError(f'inputs must be some of {", ".join(self.STATISTICS)}, not {inputs}')
        self.columns = [self.STATISTICS.index(name) for name in inputs]
        widths = [len(inputs)] + [hidden] * (layers - 1) + [1]
        linears = [nn.Linear(width, following) for width, following in zip(widths, widths[1:])]
        nn.init.zeros_(linears[-1].bias)  # O14: trust starts near one half
        activated = [module for linear in linears[:-1] for module in (linear, nn.ReLU())]
        self.mlp = nn.Sequential(*activated, linears[-1])
        self.temperature = temperature
        self.normalize_entropy = normalize_entropy

    def probabilities(self, z: Tensor) -> Tensor:
        """p = softmax(z / tau), (B, C), in float32 or float64.

        The statistics have no gradient (decision O5), so z is detached.
        """
        return (at_least_float32(z.detach()) / self.temperature).softmax(-1)

    def entropy(self, p: Tensor) -> Tensor:
        """H(p), (B,), in nats; divided by ln C with ``normalize_entropy``."""
        h = entropy(p)
        return h / math.log(max(p.shape[-1], 2)) if self.normalize_entropy else h

    def gate(self, statistics: Tensor) -> Tensor:
        """Logit (B,) of the trust score for statistics (B, 3), computed outside autocast."""
        with torch.autocast(statistics.device.type, enabled=False):
            return self.mlp(
                statistics[:, self.columns].to(next(self.mlp.parameters()).dtype)
            ).squeeze(-1)


class ForegroundTrust(NamedTuple):
    """Trust in the foreground views of a batch.

    Attributes:
        logit: (B,) of r, before the check of the mask.
        r: (B,) in [0, 1]; 0 if the mask is not usable.
        valid: (B,) bool, whether the mask is usable: its area is within the bounds.
    """

    logit: Tensor
    r: Tensor
    valid: Tensor


@MODELS.register_module()
class ForegroundReliabilityGate(ReliabilityGate):
    """FRG: trust score r of an image's foreground view.

    It reads u = [H(p_full) - H(p_fg), cos(p_full, p_fg), A(m)].

    Args:
        area_min, area_max: bounds of A(m), the foreground share of the image. A mask outside is not
            trusted (r = 0) and does not train the gate (RDBOOST_AREA_MIN / _MAX, decision O2). None
            switches a bound off.
        kwargs: see :class:`ReliabilityGate`.
    """

    STATISTICS = ('entropy', 'cosine', 'area')

    def __init__(
        self, area_min: Optional[float] = 0.02, area_max: Optional[float] = 0.98, **kwargs
    ):
        super().__init__(**kwargs)
        self.area_min, self.area_max = area_min, area_max

    def statistics(self, z_full: Tensor, z_fg: Tensor, area: Tensor) -> Tensor:
        """u (B, 3) of logits (B, C) of both views and the foreground area (B,) in [0, 1]."""
        p_full, p_fg = self.probabilities(z_full), self.probabilities(z_fg)
        return torch.stack(
            [
                self.entropy(p_full) - self.entropy(p_fg),
                torch.cosine_similarity(p_full, p_fg, dim=-1),
                area.to(p_full.dtype),
            ],
            -1,
        )

    def forward(self, z_full: Tensor, z_fg: Tensor, area: Tensor) -> ForegroundTrust:
        """Trust of a batch; arguments as in :meth:`statistics`."""
        valid = torch.ones_like(area, dtype=torch.bool)
        if self.area_min is not None:
            valid &= area >= self.area_min
        if self.area_max is not None:
            valid &= area <= self.area_max
        logit = self.gate(self.statistics(z_full, z_fg, area))
        return ForegroundTrust(logit, logit.sigmoid() * valid, valid)


@MODELS.register_module()
class BackboneReliabilityGate(ReliabilityGate):
    """BRG: trust score b of the original CLIP.

    It reads s = [H(p_full), H(p_CLIP), cos(p_full, p_CLIP)].
    """

    STATISTICS = ('entropy_full', 'entropy_clip', 'cosine')

    def statistics(self, z_main: Tensor, z_clip: Tensor) -> Tensor:
        """s (B, 3) of the logits (B, C) of the tuner and of the original CLIP."""
        p_main, p_clip = self.probabilities(z_main), self.probabilities(z_clip)
        return torch.stack(
            [
                self.entropy(p_main),
                self.entropy(p_clip),
                torch.cosine_similarity(p_main, p_clip, dim=-1),
            ],
            -1,
        )

    def forward(self, z_main: Tensor, z_clip: Tensor) -> Tensor:
        """b (B,) in (0, 1); float32 rounds it to 0 or 1 if its logit is below -100 or above 17."""
        return self.gate(self.statistics(z_main, z_clip)).sigmoid()
