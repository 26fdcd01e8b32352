"""KL divergence of predictions at a temperature, the building block of the paper's losses."""

import torch.nn.functional as F
from torch import Tensor

from ..clip import at_least_float32


def tempered_kl(
    z_teacher: Tensor, z_student: Tensor, temperature: float, tau_squared: bool = False
) -> Tensor:
    """KL(softmax(z_teacher / tau) || softmax(z_student / tau)), summed over the classes.

    Args:
        z_teacher: (B, C) logits.
        z_student: (B, C) logits.
        temperature: tau.
        tau_squared: multiply by tau^2, as is common in distillation; the paper does not (decision
            O6).

    Returns:
        (B,), in float32 or the inputs' higher precision.
    """
    log_p = (at_least_float32(z_teacher) / temperature).log_softmax(-1)
    log_q = (at_least_float32(z_student) / temperature).log_softmax(-1)
    kl = F.kl_div(log_q, log_p, reduction='none', log_target=True).sum(-1)
    return kl * temperature**2 if tau_squared else kl
