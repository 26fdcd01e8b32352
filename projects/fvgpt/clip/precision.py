"""Number formats: CLIP's towers may run in half precision, everything after them uses float32."""

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Convert half precision (float16, bfloat16) to float32; return other tensors unchanged."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
