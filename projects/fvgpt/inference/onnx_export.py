"""A trained model as ONNX graphs."""

import warnings
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Dict, Iterator, Union

import torch
from safetensors.torch import save
from torch import nn

from ..compat.versions import release
from ..io.errors import MissingPackageError, UserError
from ..io.json_file import write_json
from ..names import Branch
from ..tuners.base import PromptTuner
from ..tuners.classifier import CLIPClassifier, tuner_of
from .exported import ImageClassifier, ImageFeatures, describe, new_files, text_features
from .inferencer import FVGPTInferencer

TOLERANCE = 1e-3  # largest allowed difference between ONNX Runtime and torch in any output
# Size of the weights in bytes from which they are stored in a separate file: an ONNX file can
# contain 2 GiB
_EXTERNAL = 1 << 30


def export_onnx(inferencer: FVGPTInferencer, out: str, overwrite: bool = False) -> Dict[str, float]:
    """Write a model as two ONNX graphs and ``onnx.json``.

    ``classifier.onnx``: images -> logits, probabilities; the text features of the current classes
    are constants in it. ``image_features.onnx`` and ``text_features.safetensors``: unit features of
    images and classes, whose products are the logits listed in ``onnx.json``; for other classes
    only the text file has to be written again. Before anything is written, the outputs of each
    graph are compared with torch's in ONNX Runtime.

    Args:
        inferencer: with the classes and the branch set; it is not changed.
        out: folder.
        overwrite: replace files of an earlier export.

    Returns:
        Largest absolute difference from torch, per file.

    Raises:
        MissingPackageError: a package is missing.
        FileTakenError: ``out`` contains an export.
        UserError: the model cannot be exported, or ONNX Runtime disagrees with torch; then nothing
            is written.
    """
    onnxruntime = _import_onnx()
    refuse_text_by_image(inferencer)
    size, differences = inferencer.tuner.clip.image_size, {}
    with _prepared(inferencer.model) as model:
        described = describe(inferencer)  # also caches what must not be traced
        forms: Dict[str, Union[ImageClassifier, ImageFeatures]] = {
            'classifier.onnx': ImageClassifier(model).eval(),
            'image_features.onnx': ImageFeatures(model).eval(),
        }
        names = [*forms, 'text_features.safetensors', 'onnx.json']
        with new_files(out, names, overwrite) as folder, constant_text(model):
            for name, module in forms.items():
                trace(module, size, folder / name)
                session = onnxruntime.InferenceSession(
                    str(folder / name), providers=['CPUExecutionProvider']
                )
                differences[name] = largest_difference(session, module, size)
                if not differences[name] <= TOLERANCE:  # also if it is NaN
                    raise UserError(
                        f'ONNX Runtime and torch differ for {name} by {differences[name]:.2g}, '
                        f'more than {TOLERANCE}; nothing was written'
                    )
            (folder / 'text_features.safetensors').write_bytes(save(text_features(model)))
            write_json(folder / 'onnx.json', dict(described, largest_difference=differences))
    return differences


@contextmanager
def _prepared(model: CLIPClassifier) -> Iterator[CLIPClassifier]:
    """The model on the CPU and without the other sources' logits, for the time of the context."""
    device, compare = tuner_of(model).clip.device, getattr(model, 'compare', None)
    model.to('cpu')
    if compare is not None:
        model.compare = False
    try:
        yield model
    finally:
        model.to(device)
        if compare is not None:
            model.compare = compare


def refuse_text_by_image(inferencer: FVGPTInferencer) -> None:
    """Refuse logits that encode all classes again for each image (CoCoOp).

    Raises:
        UserError: the logits of the current branch are of that kind.
    """
    model, tuner = inferencer.model, inferencer.tuner
    fdc = getattr(model, 'compensation', None)
    from_fdc = fdc is not None and not fdc.reads_tuner_logits and model.branch == Branch.BASE
    if tuner.text_depends_on_image and not from_fdc:
        raise UserError(
            f'{type(tuner).__name__} encodes the classes again for each image, so its text '
            'features are not constants and it cannot be exported to ONNX; FVG-PT on it can with '
            '--branch base, and the bundle always can'
        )


@contextmanager
def constant_text(model: CLIPClassifier) -> Iterator[None]:
    """Replace the tuners' text features by constants, for the time of the context.

    An exporter cannot infer that :meth:`~fvgpt.tuners.PromptTuner.cached_text` is constant.
    """
    parts = [part for part in model.modules() if isinstance(part, PromptTuner)]
    for part in parts:
        part.__dict__['cached_text'] = partial(dict, part.cached_text())
    try:
        yield
    finally:
        for part in parts:
            del part.cached_text


@torch.no_grad()
def trace(module: Union[ImageClassifier, ImageFeatures], size: int, path: Path) -> None:
    """Write a module as an ONNX file with a free batch size.

    Args:
        module: maps images (B, 3, size, size) to a list of tensors.
        size: of the images in pixels.
        path: of the file.

    Raises:
        UserError: torch cannot export it.
    """
    images = torch.zeros(2, 3, size, size)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # torch's exporter warns of its own internals
        try:
            program = torch.onnx.export(
                module,
                (images,),
                dynamo=True,
                verbose=False,
                input_names=['images'],
                output_names=list(module.names),
                dynamic_shapes=dict(images={0: torch.export.Dim('batch')}),
            )
        except torch.onnx.OnnxExporterError as error:
            raise UserError(f'torch cannot export this model: {error}') from error
    assert program is not None  # with dynamo=True there is one
    tensors = (value.const_value for value in program.model.graph.initializers.values())
    weights = sum(tensor.nbytes for tensor in tensors if tensor is not None)
    program.save(str(path), external_data=weights >= _EXTERNAL)


@torch.no_grad()
def largest_difference(session, module: nn.Module, size: int) -> float:
    """Largest absolute difference of the outputs between ONNX Runtime and torch; NaN if one is NaN.

    Args:
        session: of ONNX Runtime.
        module: the exported module. It gets batches of one and of three random images.
        size: of the images in pixels.
    """
    generator = torch.Generator().manual_seed(0)
    worst = [0.0]
    for batch in (1, 3):
        images = torch.randn(batch, 3, size, size, generator=generator)
        for got, expected in zip(session.run(None, dict(images=images.numpy())), module(images)):
            worst.append(float((torch.from_numpy(got) - expected).abs().max()))
    return max(worst) if all(difference == difference for difference in worst) else float('nan')


def _import_onnx():
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(
            f'export to ONNX needs {error.name}: pip install -r requirements/export.txt'
        ) from error
    # torch 2.12 fails to export the gates, 2.9 and 2.6 a free batch size
    if release(torch.__version__) < (2, 13):
        raise MissingPackageError(
            f'export to ONNX needs torch 2.13 or later, not {torch.__version__}; --format bundle '
            'works'
        )
    return onnxruntime
