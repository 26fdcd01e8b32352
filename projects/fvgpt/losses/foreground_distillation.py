"""L_dist, the loss of FDC: distillation from both views, weighted by the foreground trust."""

from typing import Optional

from torch import Tensor, nn

from ..clip import at_least_float32
from ..registry import LOSSES
from .tempered_kl import tempered_kl


@LOSSES.register_module()
class ForegroundDistillationLoss(nn.Module):
    """r KL(p_fg || p_FDC) + (1 - r) KL(p_full || p_FDC), averaged over the batch (paper, FDC).

    All p are softmax(z / tau).

    Args:
        temperature: tau (RDBOOST_TAU_D in the released code).
        detach_trust: stop the gradient into r, so that the gate is trained by its own loss only
            (decision O4).
        tau_squared: multiply the loss by tau^2 (decision O6).
        loss_weight: lambda_d (RDBOOST_LAMBDA_D).
    """

    def __init__(
        self,
        temperature: float = 2.0,
        detach_trust: bool = True,
        tau_squared: bool = False,
        loss_weight: float = 10.0,
    ):
        super().__init__()
        self.temperature = temperature
        self.detach_trust = detach_trust
        self.tau_squared = tau_squared
        self.loss_weight = loss_weight

    def forward(
        self,
        z_student: Tensor,
        z_full: Tensor,
        z_fg: Optional[Tensor] = None,
        r: Optional[Tensor] = None,
    ) -> Tensor:
        """Compute the weighted loss, a scalar.

        Args:
            z_student: (B, C), z_FDC, the logits of the base branch.
            z_full: (B, C), the tuner's logits of the full view.
            z_fg: (B, C), the tuner's logits of the foreground view; None with r = 0.
            r: (B,) in [0, 1], trust in the foreground view; None is 0.
        """
        if z_fg is None or r is None:
            r, from_fg = z_full.new_zeros(()), z_full.new_zeros(())
        else:
            from_fg = tempered_kl(z_fg, z_student, self.temperature, self.tau_squared)
        r = at_least_float32(r.detach() if self.detach_trust else r)
        from_full = tempered_kl(z_full, z_student, self.temperature, self.tau_squared)
        return self.loss_weight * (r * from_fg + (1 - r) * from_full).mean()
