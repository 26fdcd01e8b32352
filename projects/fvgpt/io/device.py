"""What this machine has to run on."""

import os
from typing import Union

import torch

from .errors import UserError


def torch_device(device: Union[str, torch.device, None] = None) -> str:
    """``device``, or the GPU where there is one.

    Raises:
        ValueError: there is no such device here.
    """
    if device is None:
        return 'cuda' if torch.cuda.is_available() else 'cpu'
    if str(device).startswith('cuda') and not torch.cuda.is_available():
        raise UserError(f'--device {device}: torch finds no GPU here; leave it out')
    try:
        torch.empty(0, device=device)
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        raise UserError(
            f'--device {device} cannot be used here: {str(error).splitlines()[0]}; leave it out'
        ) from error
    return str(device)


def cpu_count() -> int:
    """Cores that this process may run on: those of its scheduling affinity, which containers and Slurm set."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
