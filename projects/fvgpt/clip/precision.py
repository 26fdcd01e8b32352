"""The one rule on number formats: towers may run in half precision, everything after them does not."""

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """``x`` in float32 if it is in half precision, otherwise as it is."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
