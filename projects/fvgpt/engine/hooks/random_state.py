"""Hook that saves and restores the random state, so that resuming does not change a run."""

import random
from typing import Any, Dict, List, Optional

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank
from mmengine.hooks import Hook
from mmengine.logging import print_log

from ...registry import HOOKS

_KEY = 'random_states'  # in the checkpoint's meta, one state per rank


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Save the state of all random number generators in checkpoints, and restore it on resuming.

    So a run that was killed and resumed draws the same numbers as one that was not. The numbers
    that loader workers draw depend on the images' seeds instead
    (:func:`~fvgpt.datasets.randomness.sample_randomness`).
    """

    def __init__(self) -> None:
        self._states: List[Dict[str, Any]] = []

    def before_train(self, runner) -> None:
        """Give a loader with workers a generator of its own."""
        loader = runner.train_loop.dataloader
        if loader.num_workers:
            # Starting workers draws a number; a resumed run starts them once more than others do
            loader.generator = torch.Generator()

    def after_train_epoch(self, runner) -> None:
        """Gather the state of every rank."""
        self._states = all_gather_object(random_state())

    def before_save_checkpoint(self, runner, checkpoint: Dict[str, Any]) -> None:
        """Write the states into the checkpoint."""
        checkpoint['meta'][_KEY] = self._states

    def after_load_checkpoint(self, runner, checkpoint: Dict[str, Any]) -> None:
        """In a resumed run, restore this rank's state; log a warning if there is none."""
        states: Optional[List[Dict[str, Any]]] = checkpoint.get('meta', {}).get(_KEY)
        if not runner._resume or not states:
            return
        if get_rank() < len(states):
            set_random_state(states[get_rank()])
        else:
            print_log(
                'resumed with more processes than the run was started with: the random numbers of '
                'this process start from scratch',
                'current',
                level=30,
            )


def random_state() -> Dict[str, Any]:
    """States of Python's, NumPy's and torch's generators as tensors and plain values.

    With a GPU, its generator's state is included.
    """
    twister = np.random.get_state(legacy=False)
    keys, position = twister['state']['key'], twister['state']['pos']
    numpy = [
        torch.from_numpy(keys.astype(np.int64)),
        position,
        twister['has_gauss'],
        twister['gauss'],
    ]
    state = dict(python=random.getstate(), numpy=numpy, torch=torch.get_rng_state())
    if torch.cuda.is_available():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: Dict[str, Any]) -> None:
    """Restore a state that :func:`random_state` returned."""
    version, internal, gauss = state['python']
    random.setstate((version, tuple(internal), gauss))
    keys, *rest = state['numpy']
    np.random.set_state(('MT19937', keys.cpu().numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())
