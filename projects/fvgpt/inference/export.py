"""A trained model for other programs: ONNX graphs, and a bundle of one safetensors and one JSON file."""

import os
import tempfile
import warnings
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Dict, Iterator, List, Sequence, Union

import torch
import torch.nn.functional as F
from mmengine.config import Config
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ..compat.versions import release
from ..io.errors import FileTakenError, MissingFileError, MissingPackageError, UserError
from ..io.json_file import read_json, write_json
from ..registry import MODELS, TRANSFORMS
from ..tuners import CoCoOp, PromptTuner
from ..tuners.classifier import CLIPClassifier, tuner_of
from ..tuners.provenance import provenance
from .inferencer import FVGPTInferencer
from .load import PREPROCESSOR, build_model, check_types

FORMAT = 'fvgpt-1'
TOLERANCE = 1e-3  # largest difference between ONNX Runtime and torch in any output
_EXTERNAL = (
    1 << 30
)  # bytes of weights from which they get a file of their own; one ONNX file holds 2 GiB at most
_PARAMETERS, _TEXT = 'model.', 'text.'  # prefixes in a bundle's safetensors file
_READ_KEYS = ('model', 'provenance', 'dataset_name', 'classes', 'branch')  # of its JSON file


# ------------------------------------------------------------------ what is exported
class ImageClassifier(nn.Module):
    """Normalised images (B, 3, H, W) -> logits (B, C) and probabilities (B, C) for the classes and branch of a model."""

    names = ('logits', 'probabilities')

    def __init__(self, model: CLIPClassifier):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> List[Tensor]:
        """``logits`` and ``probabilities`` (B, C) of normalised images (B, 3, H, W)."""
        logits = self.model(images).float()
        return [logits, logits.softmax(-1)]


class ImageFeatures(nn.Module):
    """Normalised images (B, 3, H, W) -> features (B, D) of unit length, one for each kind of :func:`text_features`."""

    def __init__(self, model: CLIPClassifier):
        super().__init__()
        self.model = model
        self.names = tuple(text_features(model))

    def forward(self, images: Tensor) -> List[Tensor]:
        """The features (B, D) that ``names`` names, of normalised images (B, 3, H, W)."""
        tuner = tuner_of(self.model)
        frozen = tuner.extract_feat(images, untouched='zero_shot' in self.names)
        tuned = tuner.view(frozen)['feature']
        kinds = dict(
            tuner=lambda: F.normalize(tuned.float(), dim=-1),
            zero_shot=lambda: F.normalize(frozen['clip'].float(), dim=-1),
            fdc=lambda: self.model.compensation.compensate(
                self.model.compensation.adapter_image, tuned
            ),
        )
        return [kinds[name]() for name in self.names]


@torch.no_grad()
def text_features(model: CLIPClassifier) -> Dict[str, Tensor]:
    """Text features (C, D) of unit length of a model's classes: of the ``tuner``, of ``zero_shot`` CLIP, and those that
    the FDC adapter makes of the tuner's; what the model has of these."""
    tuned = tuner_of(model).cached_text()['feature']
    features = dict(tuner=F.normalize(tuned.float(), dim=-1))
    if hasattr(model, 'prior'):
        features['zero_shot'] = F.normalize(model.prior.cached_text()['feature'].float(), dim=-1)
    if getattr(model, 'compensation', None):
        features['fdc'] = model.compensation.compensate(model.compensation.adapter_text, tuned)
    return features


def describe(inferencer: FVGPTInferencer) -> dict:
    """What the JSON file of an export says: classes, origin, how images are prepared, constants."""
    model, tuner = inferencer.model, inferencer.tuner
    preprocessor = model.data_preprocessor
    formulas = {}
    if type(tuner).logits is PromptTuner.logits:
        formulas['tuner'] = 'logit_scale * image.tuner @ text.tuner.T'
    if hasattr(model, 'prior'):
        formulas['zero_shot'] = 'logit_scale * image.zero_shot @ text.zero_shot.T'
    if getattr(model, 'compensation', None):
        formulas['fdc'] = 'logit_scale * image.fdc @ text.fdc.T'
    return dict(
        format=FORMAT,
        classes=list(model.class_names),
        branch=model.branch,
        dataset_name=inferencer.config.dataset_name,
        provenance=dict(inferencer.config.provenance, **provenance(model)),
        preprocessing=dict(
            pipeline=inferencer.config.pipeline,
            image_size=tuner.clip.image_size,
            channels='RGB',
            layout='NCHW, float32',
            rule='(pixel - mean) / std, of pixels from 0 to 255',
            mean=preprocessor.mean.flatten().tolist(),
            std=preprocessor.std.flatten().tolist(),
        ),
        constants=dict(logit_scale=tuner.clip.logit_scale),
        logits=formulas,
    )


# ------------------------------------------------------------------ ONNX
def export_onnx(inferencer: FVGPTInferencer, out: str, overwrite: bool = False) -> Dict[str, float]:
    """Write the model in two forms, each checked with ONNX Runtime before it is kept, and ``onnx.json``.

    ``classifier.onnx``: images -> logits, probabilities; the text features of the current classes are constants in it.
    ``image_features.onnx`` and ``text_features.safetensors``: unit features of images and classes, whose products are
    the logits that ``onnx.json`` names; for other classes only the text file has to be made again.

    Args:
        inferencer: with the classes and the branch set. out: folder. overwrite: replace files of an earlier export.

    Returns:
        largest difference from torch, by file.

    Raises:
        ImportError: a package is missing. FileExistsError: an export is there.
        ValueError: the model cannot be exported, or ONNX Runtime disagrees with torch; then nothing is written.
    """
    onnxruntime = _import_onnx()
    model = inferencer.model.to('cpu')
    refuse_text_by_image(inferencer)
    if hasattr(model, 'compare'):
        model.compare = False
    said = describe(
        inferencer
    )  # also settles what the model works out at first use, before it is traced
    forms: Dict[str, Union[ImageClassifier, ImageFeatures]] = {
        'classifier.onnx': ImageClassifier(model),
        'image_features.onnx': ImageFeatures(model),
    }
    differences = {}
    with (
        _new_files(out, [*forms, 'text_features.safetensors', 'onnx.json'], overwrite) as folder,
        constant_text(model),
    ):
        for name, module in forms.items():
            trace(module.eval(), inferencer.tuner.clip.image_size, folder / name)
            session = onnxruntime.InferenceSession(
                str(folder / name), providers=['CPUExecutionProvider']
            )
            differences[name] = largest_difference(
                session, module, inferencer.tuner.clip.image_size
            )
            if not differences[name] <= TOLERANCE:  # also where it is nan
                raise UserError(
                    f'ONNX Runtime gives other numbers than torch for {name}: they differ by '
                    f'{differences[name]:.2g}, more than {TOLERANCE}; nothing was written'
                )
        (folder / 'text_features.safetensors').write_bytes(save(text_features(model)))
        write_json(folder / 'onnx.json', dict(said, largest_difference=differences))
    return differences


def refuse_text_by_image(inferencer: FVGPTInferencer) -> None:
    """Refuse CoCoOp's logits, which encode all classes anew for each image.

    Raises:
        ValueError: the logits of the branch are of that kind.
    """
    model = inferencer.model
    if isinstance(inferencer.tuner, CoCoOp) and not (
        getattr(model, 'compensation', None) and model.branch == 'base'
    ):
        raise UserError(
            'CoCoOp encodes the classes anew for each image, so its text features are no constants and it cannot '
            'be exported to ONNX; FVG-PT on it can with --branch base, and the bundle always can'
        )


@contextmanager
def constant_text(model: CLIPClassifier) -> Iterator[None]:
    """Let text features be constants, which :meth:`~fvgpt.tuners.PromptTuner.cached_text` cannot prove to an exporter."""
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
    """Write a module that maps images (B, 3, size, size) of any B to a list of tensors as an ONNX file.

    Raises:
        ValueError: torch cannot export it.
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
    """Largest absolute difference between ONNX Runtime's and torch's outputs for batches of one and three random images."""
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
    if release(torch.__version__) < (
        2,
        13,
    ):  # 2.12 fails on the gates, 2.9 and 2.6 on the free batch size
        raise MissingPackageError(
            f'export to ONNX needs torch 2.13 or later, not {torch.__version__}; --format bundle works'
        )
    return onnxruntime


# ------------------------------------------------------------------ the bundle
def export_bundle(inferencer: FVGPTInferencer, out: str, overwrite: bool = False) -> Path:
    """Write ``bundle.safetensors`` (trained parameters, text features) and ``bundle.json``, for :func:`load_bundle`.

    Args:
        inferencer, out, overwrite: see :func:`export_onnx`.

    Returns:
        path of the JSON file.
    """
    model = inferencer.model
    tensors = {_PARAMETERS + key: value for key, value in model.state_dict().items()}
    tensors.update({_TEXT + name: feature for name, feature in text_features(model).items()})
    content = dict(describe(inferencer), model=inferencer.config.model)
    with _new_files(out, ['bundle.safetensors', 'bundle.json'], overwrite) as folder:
        content_bytes = save(
            {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
        )
        (folder / 'bundle.safetensors').write_bytes(content_bytes)
        write_json(folder / 'bundle.json', content)
    return Path(out) / 'bundle.json'


def load_bundle(path: str, device: str = 'cpu') -> FVGPTInferencer:
    """The model of a bundle, whose predictions equal those of the model it was made of.

    Args:
        path: of ``bundle.json``; the safetensors file lies beside it.
        device: a torch device.

    Raises:
        FileNotFoundError, ValueError: a file is missing, is no bundle, or does not belong to the other or to this CLIP.
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
        raise UserError(f'{file} is no bundle of the format {FORMAT}')
    try:
        pipeline = content['preprocessing']['pipeline']
        model, recorded, name, classes, branch = (content[key] for key in _READ_KEYS)
    except (KeyError, TypeError) as error:
        raise UserError(f'{file} is no bundle of the format {FORMAT}: it lacks {error}') from error
    check_types(model, MODELS, PREPROCESSOR)
    check_types(pipeline, TRANSFORMS)
    config = Config(dict(model=model, pipeline=pipeline, dataset_name=name, provenance=recorded))
    state = {
        key[len(_PARAMETERS) :]: value
        for key, value in tensors.items()
        if key.startswith(_PARAMETERS)
    }
    inferencer = FVGPTInferencer(
        build_model(config, state, recorded, str(file)),
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
                f'{weights} was not made with {file}: its text features are not those of the classes'
            )
    return inferencer


@contextmanager
def _new_files(out: str, names: Sequence[str], overwrite: bool) -> Iterator[Path]:
    """A folder to write files to, which move to ``out`` together if all went well.

    Raises:
        FileExistsError: one of ``names`` is in ``out`` already.
    """
    target = Path(out)
    there = [name for name in names if (target / name).exists()]
    if there and not overwrite:
        raise FileTakenError(
            f'{target / there[0]} is there already; choose another folder, or --overwrite'
        )
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target, prefix='.partial-') as folder:
        yield Path(folder)
        for file in Path(folder).iterdir():
            os.replace(file, target / file.name)
