"""The GPU and the CPU cores that are available to this process."""

import os
from typing import Union

import torch

from .errors import UserError


def torch_device(device: Union[str, torch.device, None] = None) -> str:
    """Check that a torch device can be used.

    Args:
        device: device name. None: the GPU if there is one, otherwise the CPU.

    Raises:
        UserError: the device does not exist or cannot be used on this machine.
    """
    if device is None:
        return 'cuda' if torch.cuda.is_available() else 'cpu'
    if str(device).startswith('cuda') and not torch.cuda.is_available():
        raise UserError(f'--device {device}: torch finds no GPU here; leave it out')
    try:
        torch.empty(0, device=device)
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f'--device {device} cannot be used here: {reason}; leave it out') from error
    return str(device)


def cpu_count() -> int:
    """Number of CPU cores that this process may use.

    Counts the cores of the scheduling affinity, which containers and Slurm restrict, if the system
    has one (Linux); otherwise all cores of the machine.
    """
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
