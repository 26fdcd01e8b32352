"""Checkpoints: what they say about themselves, and reading them without running anything."""
import hashlib
from pathlib import Path
from typing import Any, Dict

import torch
from torch import nn

PROVENANCE = 'fvgpt'  # key below the checkpoint's ``meta``


def read_checkpoint(path: str) -> Dict[str, Any]:
    """A checkpoint's content, tensors and plain values only.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is broken, or holds objects that would have to be unpickled.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f'there is no checkpoint {path}')
    try:
        content = torch.load(file, map_location='cpu', weights_only=True)
    except Exception as error:
        raise ValueError(f'{path} cannot be read as a checkpoint of tensors and plain values: {str(error)[:300]}') from error
    if not isinstance(content, dict) or not isinstance(content.get('state_dict'), dict):
        raise ValueError(f'{path} is no checkpoint: it has no state_dict')
    return content


def provenance(model: nn.Module) -> Dict[str, Any]:
    """What a checkpoint records about a model: enough to refuse it where it does not belong."""
    tuner = getattr(model, 'tuner', model)
    return dict(model=type(model).__name__, tuner=type(tuner).__name__, clip=tuner.clip.name,
                clip_weights=tuner.clip.weight_hash,
                class_names=list(model.trained_class_names or model.class_names))


def check_provenance(recorded: Dict[str, Any], model: nn.Module, path: str) -> None:
    """Refuse a checkpoint that was trained with another tuner or other CLIP weights.

    Raises:
        ValueError: names what differs.
    """
    here = provenance(model)
    for key, what in (('tuner', 'tuner'), ('clip', 'CLIP'), ('clip_weights', 'CLIP weights')):
        if key in recorded and recorded[key] != here[key]:
            raise ValueError(f'{path} was trained with {what} {recorded[key]}, but this model has {here[key]}')


def state_hash(module: nn.Module, prefix: str = '') -> str:
    """sha256 over ``prefix`` and the names and float32 values of all parameters and persistent buffers."""
    digest = hashlib.sha256(prefix.encode())
    for key, value in sorted(module.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def load_tuner(tuner: nn.Module, path: str) -> None:
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
        state = {key[len('tuner.'):]: value for key, value in state.items() if key.startswith('tuner.')}
    try:
        tuner.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f'{path} does not fit this {type(tuner).__name__}: {error}') from error
