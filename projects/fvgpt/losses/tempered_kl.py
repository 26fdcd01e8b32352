"""KL divergence of softened predictions, as every loss of the paper uses it."""

import torch.nn.functional as F
from torch import Tensor

from ..clip import at_least_float32


def tempered_kl(
    z_teacher: Tensor, z_student: Tensor, temperature: float, tau_squared: bool = False
) -> Tensor:
    """KL(softmax(z_teacher / tau) || softmax(z_student / tau)) of logits (B, C), summed over classes: (B,).

    ``tau_squared`` multiplies by tau^2, as distillation often does and the method does not (decision O6).
    """
    log_p, log_q = (
        (at_least_float32(z) / temperature).log_softmax(-1) for z in (z_teacher, z_student)
    )
    kl = F.kl_div(log_q, log_p, reduction='none', log_target=True).sum(-1)
    return kl * temperature**2 if tau_squared else kl
