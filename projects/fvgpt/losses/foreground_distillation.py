"""L_dist: distillation from both views, weighed by the trust in the foreground."""

from torch import Tensor, nn

from ..clip import at_least_float32
from ..registry import LOSSES
from .tempered_kl import tempered_kl


@LOSSES.register_module()
class ForegroundDistillationLoss(nn.Module):
    """r KL(p_fg || p_FDC) + (1 - r) KL(p_full || p_FDC), mean over the batch (paper, FDC).

    Args:
        temperature: tau (RDBOOST_TAU_D).
        detach_trust: no gradient into r, so that the gate is taught by its own loss only (decision O4).
        tau_squared: multiply by tau^2 (decision O6).
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
        self.temperature, self.detach_trust, self.tau_squared = (
            temperature,
            detach_trust,
            tau_squared,
        )
        self.loss_weight = loss_weight

    def forward(self, z_student: Tensor, z_full: Tensor, z_fg: Tensor, r: Tensor) -> Tensor:
        """Weighted loss.

        Args:
            z_student, z_full, z_fg: (B, C) logits. r: (B,) trust in the foreground.
        """
        r = at_least_float32(r.detach() if self.detach_trust else r)
        from_fg = tempered_kl(z_fg, z_student, self.temperature, self.tau_squared)
        from_full = tempered_kl(z_full, z_student, self.temperature, self.tau_squared)
        return self.loss_weight * (r * from_fg + (1 - r) * from_full).mean()
