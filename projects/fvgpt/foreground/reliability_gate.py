"""The two gates: how far to trust the foreground view (FRG), and how far to trust untouched CLIP (BRG)."""

import math
from typing import NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from ..clip.precision import at_least_float32
from ..io.errors import UserError
from ..registry import MODELS


def entropy(p: Tensor) -> Tensor:
    """H(p) in nats over the last dimension; 0 ln 0 = 0."""
    return torch.special.entr(p).sum(-1)


class ReliabilityGate(nn.Module):
    """A small MLP 3 -> hidden -> 1 on statistics of two predictions (paper, FRG and BRG).

    Sub-classes name their statistics in ``STATISTICS``.

    Args:
        inputs: those that the gate sees, all when left out (Table 6 of the paper drops one at a time).
        hidden: width of the hidden layers (RDBOOST_RG_HIDDEN).
        layers: number of linear layers, 1 to 3 (Table 5 of the paper; 2 is the method).
        temperature: tau of the probabilities that the statistics are taken of.
        normalize_entropy: divide entropies by ln C, so that they do not depend on the number of classes (option of O12;
            the method does not).
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
        """p = softmax(z / tau), (B, C), never in half precision; the statistics carry no gradient (decision O5)."""
        return (at_least_float32(z.detach()) / self.temperature).softmax(-1)

    def entropy(self, p: Tensor) -> Tensor:
        """H(p), (B,), divided by ln C where configured."""
        h = entropy(p)
        return h / math.log(max(p.shape[-1], 2)) if self.normalize_entropy else h

    def gate(self, statistics: Tensor) -> Tensor:
        """Logit (B,) of the trust score for statistics (B, 3), outside autocast."""
        with torch.autocast(statistics.device.type, enabled=False):
            return self.mlp(
                statistics[:, self.columns].to(next(self.mlp.parameters()).dtype)
            ).squeeze(-1)


class ForegroundTrust(NamedTuple):
    """logit (B,) of r; r (B,), 0 where the mask is not usable; valid (B,) bool, whether the mask is usable."""

    logit: Tensor
    r: Tensor
    valid: Tensor


@MODELS.register_module()
class ForegroundReliabilityGate(ReliabilityGate):
    """FRG: trust score r of an image's foreground view, from u = [H(p_full) - H(p_fg), cos(p_full, p_fg), A(m)].

    Args:
        area_min, area_max: a foreground whose share A(m) of the image lies outside is not trusted (r = 0) and does not
            train the gate (RDBOOST_AREA_MIN / _MAX, decision O2). None switches a bound off.
        others: see :class:`ReliabilityGate`.
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
    """BRG: trust score b of untouched CLIP, from s = [H(p_full), H(p_CLIP), cos(p_full, p_CLIP)]."""

    STATISTICS = ('entropy_full', 'entropy_clip', 'cosine')

    def statistics(self, z_full: Tensor, z_clip: Tensor) -> Tensor:
        """s (B, 3) of the tuner's and CLIP's logits (B, C)."""
        p_full, p_clip = self.probabilities(z_full), self.probabilities(z_clip)
        return torch.stack(
            [
                self.entropy(p_full),
                self.entropy(p_clip),
                torch.cosine_similarity(p_full, p_clip, dim=-1),
            ],
            -1,
        )

    def forward(self, z_full: Tensor, z_clip: Tensor) -> Tensor:
        """b (B,) in (0, 1); float32 rounds it to 0 or 1 where the logit is beyond about -100 and 17."""
        return self.gate(self.statistics(z_full, z_clip)).sigmoid()
