"""Distributed runs started by torchrun or Slurm, also on machines without a GPU."""

import os
import subprocess
from typing import Dict, Optional

import torch

from ...io.errors import UserError

# launcher: a variable that it sets for its processes, and the command that starts them
_STARTED_BY = {
    'pytorch': ('RANK', 'tools/dist_{train,test}.sh'),
    'slurm': ('SLURM_PROCID', 'tools/slurm_{train,test}.sh'),
}


def prepare_distributed(launcher: str) -> Optional[dict]:
    """Set up the gloo backend if there is no GPU, which MMEngine's launchers do not support.

    Returns:
        The config of the model wrapper.

    Raises:
        ValueError: this process was not started by that launcher, or it needs a GPU.
    """
    variable, command = _STARTED_BY.get(launcher, (None, None))
    if variable and variable not in os.environ:
        raise UserError(
            f'--launcher {launcher} is for processes that {command} starts: '
            f'{variable} is not set here'
        )
    if launcher == 'none' or torch.cuda.is_available():
        return None
    if not variable:
        raise UserError(
            f'without a GPU only --launcher pytorch and slurm are supported, not {launcher!r}'
        )
    if not torch.distributed.is_initialized():
        if launcher == 'slurm':
            os.environ.update(_slurm_group())
        torch.distributed.init_process_group('gloo')
    return dict(type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False)


def _slurm_group() -> Dict[str, str]:
    """Set torch.distributed's variables from Slurm's, as ``mmengine.dist.init_dist`` does."""
    address = os.environ.get('MASTER_ADDR')
    if not address:
        hosts = subprocess.run(
            ['scontrol', 'show', 'hostnames', os.environ['SLURM_NODELIST']],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        address = hosts.split()[0]
    return dict(
        MASTER_ADDR=address,
        MASTER_PORT=os.environ.get('MASTER_PORT', '29500'),
        RANK=os.environ['SLURM_PROCID'],
        WORLD_SIZE=os.environ['SLURM_NTASKS'],
        LOCAL_RANK=os.environ['SLURM_LOCALID'],
    )
