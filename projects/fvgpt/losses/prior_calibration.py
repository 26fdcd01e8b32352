"""L_PC, the loss of prior calibration (PC), which trains the Backbone Reliability Gate."""

import torch.nn.functional as F
from torch import Tensor, nn

from ..clip import at_least_float32
from ..registry import LOSSES
from .tempered_kl import tempered_kl


@LOSSES.register_module()
class PriorCalibrationLoss(nn.Module):
    """CE(z_PC, y) + KL(softmax(z_CLIP / tau) || softmax(z_PC / tau)), batch mean (paper, PC).

    Args:
        temperature: tau of the KL divergence (BDPC_TAU_KL in the released code).
        use_kl: include the KL divergence from the CLIP prior (BDPC_USE_KL).
        tau_squared: multiply the KL divergence by tau^2 (decision O6).
        loss_weight: lambda of L_PC (BDPC_LAMBDA, ``--lambda_new`` of the released scripts).
    """

    def __init__(
        self,
        temperature: float = 2.0,
        use_kl: bool = True,
        tau_squared: bool = False,
        loss_weight: float = 1.0,
    ):
        super().__init__()
        self.temperature, self.use_kl, self.tau_squared = temperature, use_kl, tau_squared
        self.loss_weight = loss_weight

    def forward(self, z_pc: Tensor, z_clip: Tensor, labels: Tensor) -> Tensor:
        """Compute the weighted loss, a scalar.

        Args:
            z_pc: (B, C), z_PC, the calibrated logits of the new branch.
            z_clip: (B, C), the logits of original CLIP.
            labels: (B,), true classes.
        """
        loss = F.cross_entropy(at_least_float32(z_pc), labels)
        if self.use_kl:
            loss = loss + tempered_kl(z_clip, z_pc, self.temperature, self.tau_squared).mean()
        return self.loss_weight * loss
