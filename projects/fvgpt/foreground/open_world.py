"""The open world: one ranking of trained and new classes together."""

import torch
from torch import Tensor

from ..clip.precision import at_least_float32


def join_branches(z_fdc: Tensor, z_pc: Tensor, trained: Tensor) -> Tensor:
    """ln p of all classes: base classes ranked by the FDC branch, new ones by the PC branch.

    z_FDC and z_PC are not comparable: they come from different models, trained separately. So the
    total probability of the base classes is PC's, which treats all classes alike, and it is
    distributed among them by FDC:

        p(c) = p_PC(base) p_FDC(c | base) for base classes,  p_PC(c) for the others,

    with p_PC over all classes. The probabilities sum to one, the ranking within the base classes
    is FDC's and the one within the new classes is PC's. (Not in the paper, which tests base and new
    classes separately.)

    Args:
        z_fdc, z_pc: logits (B, C) of both branches over all classes.
        trained: (C,) bool, the classes that were trained on.

    Returns:
        (B, C), ``softmax`` of which gives p.
    """
    log_pc = at_least_float32(z_pc).log_softmax(-1)
    log_base, z_base = (
        z.masked_fill(~trained, float('-inf')) for z in (log_pc, at_least_float32(z_fdc))
    )
    return torch.where(
        trained, log_base.logsumexp(-1, keepdim=True) + z_base.log_softmax(-1), log_pc
    )
