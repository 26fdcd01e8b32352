"""What tells one set of weights from another."""

import hashlib

from torch import nn


def state_hash(module: nn.Module, prefix: str = '') -> str:
    """sha256 over ``prefix`` and the names and float32 values of all parameters and persistent buffers."""
    digest = hashlib.sha256(prefix.encode())
    for key, value in sorted(module.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
