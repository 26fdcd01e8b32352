"""Hash of a module's weights."""

import hashlib

from torch import nn


def state_hash(module: nn.Module, prefix: str = '') -> str:
    """sha256 (hex) of a module's weights.

    It covers the names and the float32 values of all parameters and persistent buffers, in the
    order of their names, so it depends neither on the device nor on a conversion to float32.

    Args:
        module: the module to hash.
        prefix: text that is hashed first, for settings that are not part of the state dict.
    """
    digest = hashlib.sha256(prefix.encode())
    for key, value in sorted(module.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
