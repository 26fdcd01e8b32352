"""L_FRG, the loss that trains the Foreground Reliability Gate (FRG)."""

import torch.nn.functional as F
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor, nn

from ..clip import at_least_float32
from ..registry import LOSSES


@LOSSES.register_module()
class ReliabilityLoss(nn.Module):
    """BCE(r, r*) with r* = 1[CE(z_fg, y) < CE(z_full, y) - delta] (paper, FRG).

    The foreground view counts as reliable if it predicts the true class better than the full view.

    Args:
        margin: delta (RDBOOST_DELTA in the released code).
        loss_weight: lambda of L_FRG (RDBOOST_LAMBDA_RG).
    """

    def __init__(self, margin: float = 0.0, loss_weight: float = 1.0):
        super().__init__()
        self.margin, self.loss_weight = margin, loss_weight

    def target(self, z_full: Tensor, z_fg: Tensor, labels: Tensor) -> Tensor:
        """Return r*, (B,) in {0, 1}. The cross entropies are at temperature 1."""
        ce_full = F.cross_entropy(at_least_float32(z_full), labels, reduction='none')
        ce_fg = F.cross_entropy(at_least_float32(z_fg), labels, reduction='none')
        return (ce_fg < ce_full - self.margin).to(ce_full.dtype)

    def forward(
        self, logit: Tensor, z_full: Tensor, z_fg: Tensor, labels: Tensor, valid: Tensor
    ) -> Tensor:
        """Compute the weighted mean over all samples with a usable mask, 0 if there are none.

        With several processes, DDP averages the gradients of their losses. Each process therefore
        divides its sum by the mean number of usable masks per process, so that the average is the
        mean over the samples of all processes and every mask has the same weight.

        Args:
            logit: (B,), the gate's output before the sigmoid: r = sigmoid(logit).
            z_full: (B, C), the tuner's logits of the full view.
            z_fg: (B, C), the tuner's logits of the foreground view.
            labels: (B,), true classes.
            valid: (B,) bool, whether the sample has a usable mask.
        """
        logit = at_least_float32(logit)
        bce = F.binary_cross_entropy_with_logits(
            logit, self.target(z_full, z_fg, labels).to(logit.dtype), reduction='none'
        )
        usable = valid.sum().to(bce.dtype)
        all_reduce(usable, 'mean')
        return self.loss_weight * (bce * valid).sum() / usable.clamp(min=1 / get_world_size())
