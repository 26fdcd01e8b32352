"""Reading checkpoints, and loading them into models completely or not at all."""

from textwrap import shorten
from typing import Any, Dict

import torch
from torch import nn

from ..compat.safe_loading import load_from_local
from ..io.errors import UserError
from .classifier import CLIPClassifier
from .provenance import Provenance

_TUNER = 'tuner.'  # prefix of the tuner's parameters in a checkpoint of FVG-PT


def read_checkpoint(path: str) -> Dict[str, Any]:
    """A checkpoint's content: tensors and plain values only.

    Raises:
        MissingFileError: there is no such file.
        UserError: the file is broken, is not a checkpoint, or contains objects that would have to
            be unpickled.
    """
    content = load_from_local(path)
    if not isinstance(content, dict) or not isinstance(content.get('state_dict'), dict):
        raise UserError(f'{path} is not a checkpoint: it has no state_dict')
    content.setdefault('meta', {})
    try:
        Provenance.of_checkpoint(content)
    except ValueError as error:
        raise UserError(
            f'{path} is not a checkpoint: its provenance is invalid ({error})'
        ) from error
    if not all(isinstance(value, torch.Tensor) for value in content['state_dict'].values()):
        raise UserError(f'{path} is not a checkpoint: its state_dict contains more than tensors')
    return content


def load_parameters(model: nn.Module, state: Dict[str, torch.Tensor], path: str) -> None:
    """Load a state dict, in which no parameter may be missing or unexpected.

    Parameters without elements, such as the deep prompts of a tuner of depth 1, may be missing:
    files of the original code do not have them.

    Args:
        model: loaded in place.
        state: parameter name -> tensor.
        path: file that ``state`` was read from, for messages.

    Raises:
        UserError: the state is of another model, or of other sizes; one line, with the first
            parameters that differ.
    """
    empty = {key: value for key, value in model.state_dict().items() if not value.numel()}
    try:
        model.load_state_dict({**empty, **state})
    except RuntimeError as error:
        differs = shorten(str(error), 400, placeholder=' ...')
        raise UserError(f'{path} does not fit this {type(model).__name__}: {differs}') from error


def load_tuner(tuner: CLIPClassifier, path: str) -> None:
    """Load a tuner's trained parameters, from its checkpoint or from one of FVG-PT on that tuner.

    Raises:
        MissingFileError: there is no such file.
        UserError: the file is broken, or of another tuner, CLIP or size.
    """
    content = read_checkpoint(path)
    provenance = Provenance.of_checkpoint(content)
    provenance.check_fits(tuner, path)
    tuner.set_trained_classes(provenance.tuner_class_names or provenance.class_names)
    state = content['state_dict']
    of_tuner = {key[len(_TUNER) :]: value for key, value in state.items() if key.startswith(_TUNER)}
    load_parameters(tuner, of_tuner or state, path)
