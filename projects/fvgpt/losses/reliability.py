"""L_FRG: what the Foreground Reliability Gate is taught."""

import torch.nn.functional as F
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor, nn

from ..clip import at_least_float32
from ..registry import LOSSES


@LOSSES.register_module()
class ReliabilityLoss(nn.Module):
    """BCE(r, r*), r* = 1[CE(z_fg, y) < CE(z_full, y) - delta]: the foreground is reliable where it predicts better.

    Args:
        margin: delta (RDBOOST_DELTA).
        loss_weight: lambda of L_FRG (RDBOOST_LAMBDA_RG).
    """

    def __init__(self, margin: float = 0.0, loss_weight: float = 1.0):
        super().__init__()
        self.margin, self.loss_weight = margin, loss_weight

    def target(self, z_full: Tensor, z_fg: Tensor, labels: Tensor) -> Tensor:
        """r* (B,) in {0, 1}; cross entropies at temperature 1."""
        ce_full, ce_fg = (
            F.cross_entropy(at_least_float32(z), labels, reduction='none') for z in (z_full, z_fg)
        )
        return (ce_fg < ce_full - self.margin).to(ce_full.dtype)

    def forward(
        self, logit: Tensor, z_full: Tensor, z_fg: Tensor, labels: Tensor, valid: Tensor
    ) -> Tensor:
        """Weighted mean over the samples with a usable mask, 0 if there is none.

        On several processes the losses, of whose gradients they take the mean, have this mean over all samples as theirs:
        each sum is divided by the mean number of usable masks a process, so that every mask counts alike.

        Args:
            logit: (B,) of r. z_full, z_fg: (B, C). labels: (B,). valid: (B,) bool.
        """
        logit = at_least_float32(logit)
        bce = F.binary_cross_entropy_with_logits(
            logit, self.target(z_full, z_fg, labels).to(logit.dtype), reduction='none'
        )
        usable = valid.sum().to(bce.dtype)
        all_reduce(usable, 'mean')
        return self.loss_weight * (bce * valid).sum() / usable.clamp(min=1 / get_world_size())
