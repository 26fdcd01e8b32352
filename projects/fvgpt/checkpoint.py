"""Checkpoints: what they say about themselves, and reading them without running anything."""
import re
import zipfile
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import Any, Dict

import torch
from mmengine.logging import print_log
from mmengine.runner import checkpoint as mmengine_checkpoint
from torch import nn

from .classifier import CLIPClassifier, tuner_of
from .misspelt import no_such_file

PROVENANCE = 'fvgpt'  # key below the checkpoint's ``meta``


def load_tensors(file: Path) -> Any:
    """What ``torch.save`` wrote: tensors, plain values and nothing else, on the CPU.

    Raises:
        ValueError: the file is broken, or holds objects that would have to be unpickled.
    """
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:  # torch compresses nothing: this is no way to fill the memory
                if sum(member.file_size for member in archive.infolist()) > file.stat().st_size:
                    raise ValueError('it is compressed')
        return torch.load(file, map_location='cpu', weights_only=True)
    except Exception as error:
        raise ValueError(f'{file} cannot be read as a checkpoint of tensors and plain values: {_reason(error)}') from error


def _reason(error: Exception) -> str:
    """The message without torch's advice, which is to read the file all the same."""
    text = str(error).rpartition('WeightsUnpickler error: ')[2]
    return re.split(r'\. |\n', text.strip())[0][:300]


@mmengine_checkpoint.CheckpointLoader.register_scheme(prefixes='', force=True)
def load_from_local(filename: str, map_location: Any = None) -> Any:
    """MMEngine's reader of local checkpoints, which unpickles whatever comes with a torch below 2.6; map_location: the CPU."""
    file = Path(filename).expanduser()
    if not file.is_file():
        raise no_such_file('checkpoint', filename, '.pth')
    return load_tensors(file)


# The same for checkpoints by address, of which torch.hub unpickles everything unless it is told not to
mmengine_checkpoint.load_url = partial(mmengine_checkpoint.load_url, weights_only=True)


def read_checkpoint(path: str) -> Dict[str, Any]:
    """A checkpoint's content, tensors and plain values only.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is broken, or holds objects that would have to be unpickled.
    """
    content = load_from_local(path)
    if not isinstance(content, dict) or not isinstance(content.get('state_dict'), dict):
        raise ValueError(f'{path} is no checkpoint: it has no state_dict')
    meta = content.setdefault('meta', {})
    recorded = meta.get(PROVENANCE, {}) if isinstance(meta, dict) else None
    names = recorded.get('class_names', []) if isinstance(recorded, dict) else None
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise ValueError(f'{path} is no checkpoint: what it says of its origin is of another form')
    if not all(isinstance(value, torch.Tensor) for value in content['state_dict'].values()):
        raise ValueError(f'{path} is no checkpoint: its state_dict holds more than tensors')
    return content


def provenance(model: CLIPClassifier) -> Dict[str, Any]:
    """What a checkpoint records about a model: enough to refuse it where it does not belong."""
    tuner = tuner_of(model)
    clip = tuner.clip
    return dict(model=type(model).__name__, tuner=type(tuner).__name__, clip=clip.name, quick_gelu=clip.quick_gelu,
                clip_weights=clip.weight_hash, precision=clip.precision or 'float32',
                class_names=list(model.trained_class_names or model.class_names))


def check_provenance(recorded: Dict[str, Any], model: CLIPClassifier, path: str) -> None:
    """Refuse a checkpoint that was trained with another tuner or another CLIP; warn where its towers had another precision,
    which changes predictions little. Other classes are what prompts are tuned for, and fine.

    Raises:
        ValueError: names what differs.
    """
    here = provenance(model)
    for key, what in (('tuner', 'tuner'), ('clip', 'CLIP'), ('quick_gelu', 'quick_gelu'), ('clip_weights', 'CLIP weights')):
        if key in recorded and recorded[key] != here[key]:
            raise ValueError(f'{path} was trained with {what} {recorded[key]}, but this model has {here[key]}')
    if recorded.get('precision', here['precision']) != here['precision']:
        print_log(f"{path} was trained with clip.precision {recorded['precision']}, but this model has {here['precision']}; "
                  'predictions may differ slightly', 'current', level=30)


def load_parameters(model: nn.Module, state: Dict[str, torch.Tensor], path: str) -> None:
    """Load a state dict, of which nothing may be missing or too much.

    Raises:
        ValueError: it is of another model, or of other sizes; in one line, the first parameters that differ.
    """
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        differs = shorten(str(error), 400, placeholder=' ...')
        raise ValueError(f'{path} does not fit this {type(model).__name__}: {differs}') from error


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
        state = {key[len('tuner.'):]: value for key, value in state.items() if key.startswith('tuner.')}
    load_parameters(tuner, state, path)
