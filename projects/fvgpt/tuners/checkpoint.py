"""Checkpoints: what they say about themselves, and reading them without running anything."""

from textwrap import shorten
from typing import Any, Dict

import torch
from torch import nn

from ..compat.safe_loading import load_from_local
from ..io.errors import UserError
from .classifier import CLIPClassifier
from .provenance import PROVENANCE, check_provenance


def read_checkpoint(path: str) -> Dict[str, Any]:
    """A checkpoint's content, tensors and plain values only.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is broken, or holds objects that would have to be unpickled.
    """
    content = load_from_local(path)
    if not isinstance(content, dict) or not isinstance(content.get('state_dict'), dict):
        raise UserError(f'{path} is no checkpoint: it has no state_dict')
    meta = content.setdefault('meta', {})
    recorded = meta.get(PROVENANCE, {}) if isinstance(meta, dict) else None
    names = recorded.get('class_names', []) if isinstance(recorded, dict) else None
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise UserError(f'{path} is no checkpoint: what it says of its origin is of another form')
    if not all(isinstance(value, torch.Tensor) for value in content['state_dict'].values()):
        raise UserError(f'{path} is no checkpoint: its state_dict holds more than tensors')
    return content


def load_parameters(model: nn.Module, state: Dict[str, torch.Tensor], path: str) -> None:
    """Load a state dict, of which nothing may be missing or too much.

    Raises:
        ValueError: it is of another model, or of other sizes; in one line, the first parameters that differ.
    """
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        differs = shorten(str(error), 400, placeholder=' ...')
        raise UserError(f'{path} does not fit this {type(model).__name__}: {differs}') from error


def load_tuner(tuner: CLIPClassifier, path: str) -> None:
    """Load a tuner's trained parameters; a checkpoint of FVG-PT on that tuner serves too.

    Raises:
        FileNotFoundError, ValueError: the file is missing, broken, or of another tuner, CLIP or size.
    """
    content = read_checkpoint(path)
    recorded = content.get('meta', {}).get(PROVENANCE, {})
    check_provenance(recorded, tuner, path)
    tuner.set_trained_classes(recorded.get('class_names', []))
    state = content['state_dict']
    if any(key.startswith('tuner.') for key in state):
        state = {
            key[len('tuner.') :]: value for key, value in state.items() if key.startswith('tuner.')
        }
    load_parameters(tuner, state, path)
