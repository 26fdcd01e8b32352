"""A trained model as a bundle: one safetensors file and one JSON file, without pickled objects."""

from pathlib import Path

import torch
from mmengine.config import Config
from safetensors.torch import load_file, save

from ..io.errors import MissingFileError, UserError
from ..io.json_file import read_json, write_json
from ..registry import MODELS, TRANSFORMS
from ..tuners.provenance import Provenance
from .exported import FORMAT, describe, new_files, text_features
from .inferencer import FVGPTInferencer
from .load import PREPROCESSOR, build_model, check_types

TOLERANCE = 1e-3  # largest allowed difference of the text features from those in the bundle
_PARAMETERS, _TEXT = 'model.', 'text.'  # prefixes in the safetensors file
_READ_KEYS = ('model', 'provenance', 'dataset_name', 'classes', 'branch')  # of the JSON file


# ------------------------------------------------------------------ the bundle
def export_bundle(inferencer: FVGPTInferencer, out: str, overwrite: bool = False) -> Path:
    """Write a model as a bundle that :func:`load_bundle` reads.

    ``bundle.safetensors`` contains the trained parameters and the text features, ``bundle.json``
    everything else.

    Args:
        inferencer, out, overwrite: see :func:`~fvgpt.inference.onnx_export.export_onnx`.

    Returns:
        Path of the JSON file.

    Raises:
        FileTakenError: ``out`` contains a bundle, and ``overwrite`` is False.
    """
    model = inferencer.model
    tensors = {_PARAMETERS + key: value for key, value in model.state_dict().items()}
    tensors.update({_TEXT + name: feature for name, feature in text_features(model).items()})
    content = dict(describe(inferencer), model=inferencer.config.model)
    with new_files(out, ['bundle.safetensors', 'bundle.json'], overwrite) as folder:
        content_bytes = save(
            {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
        )
        (folder / 'bundle.safetensors').write_bytes(content_bytes)
        write_json(folder / 'bundle.json', content)
    return Path(out) / 'bundle.json'


def load_bundle(path: str, device: str = 'cpu') -> FVGPTInferencer:
    """Inferencer of a bundle's model; its predictions equal those of the exported model.

    Args:
        path: of ``bundle.json``; the safetensors file is beside it.
        device: a torch device.

    Raises:
        MissingFileError: a file is missing.
        UserError: the files are not a bundle, do not belong together, or are of another CLIP.
    """
    file = Path(path)
    weights = file.with_suffix('.safetensors')
    for part in (file, weights):
        if not part.is_file():
            raise MissingFileError(f'there is no {part}')
    try:
        content, tensors = read_json(file), load_file(weights)
    except Exception as error:  # of the JSON or safetensors reader
        raise UserError(f'{file} and {weights.name} cannot be read as a bundle: {error}') from error
    if not isinstance(content, dict) or content.get('format') != FORMAT:
        raise UserError(f'{file} is not a bundle of the format {FORMAT}')
    try:
        pipeline = content['preprocessing']['pipeline']
        model, recorded, name, classes, branch = (content[key] for key in _READ_KEYS)
        provenance = Provenance.from_dict(recorded)
    except KeyError as error:
        raise UserError(
            f'{file} is not a bundle of the format {FORMAT}: it lacks {error}'
        ) from error
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(f'{file} is not a bundle of the format {FORMAT}: {error}') from error
    check_types(model, MODELS, PREPROCESSOR)
    check_types(pipeline, TRANSFORMS)
    config = Config(dict(model=model, pipeline=pipeline, dataset_name=name, provenance=recorded))
    state = {
        key[len(_PARAMETERS) :]: value
        for key, value in tensors.items()
        if key.startswith(_PARAMETERS)
    }
    inferencer = FVGPTInferencer(
        build_model(config, state, provenance, str(file)),
        device=device,
        classes=classes,
        branch=branch,
    )
    for name, feature in text_features(inferencer.model).items():
        stored = tensors.get(_TEXT + name)
        if (
            stored is None
            or stored.shape != feature.shape
            or not torch.allclose(stored, feature.cpu(), atol=TOLERANCE)
        ):
            raise UserError(
                f'{weights} does not belong to {file}: its text features are not those of the '
                'classes'
            )
    return inferencer
