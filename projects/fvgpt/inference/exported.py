"""Contents of an export: unit features, formulas of the logits, and preprocessing of images."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..io.errors import FileTakenError
from ..names import Source
from ..tuners.classifier import CLIPClassifier, tuner_of
from ..tuners.provenance import Provenance
from .inferencer import FVGPTInferencer

FORMAT = 'fvgpt-1'


class ImageClassifier(nn.Module):
    """Normalised images (B, 3, H, W) -> logits (B, C) and probabilities (B, C), for the current
    classes and branch of a model."""

    names = ('logits', 'probabilities')

    def __init__(self, model: CLIPClassifier):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> List[Tensor]:
        """``logits`` and ``probabilities`` (B, C) of normalised images (B, 3, H, W)."""
        logits = self.model(images).float()
        return [logits, logits.softmax(-1)]


class ImageFeatures(nn.Module):
    """Normalised images (B, 3, H, W) -> features (B, D) of unit length, one tensor for each kind of
    :func:`text_features`."""

    def __init__(self, model: CLIPClassifier):
        super().__init__()
        self.model = model
        self.names = tuple(text_features(model))

    def forward(self, images: Tensor) -> List[Tensor]:
        """The features (B, D) that ``names`` lists, of normalised images (B, 3, H, W)."""
        tuner = tuner_of(self.model)
        frozen = self.model.extract_feat(images, original=Source.ZERO_SHOT in self.names)
        tuned = tuner.features_of(frozen.full)['feature']
        features: Dict[str, Tensor] = {Source.TUNER: F.normalize(tuned.float(), dim=-1)}
        if Source.ZERO_SHOT in self.names:
            features[Source.ZERO_SHOT] = F.normalize(frozen.full.clip.float(), dim=-1)
        if 'fdc' in self.names:
            features['fdc'] = self.model.signals(frozen).residuals[0].compensated()
        return [features[name] for name in self.names]


@torch.no_grad()
def text_features(model: CLIPClassifier) -> Dict[str, Tensor]:
    """Text features (C, D) of unit length of a model's classes.

    ``tuner``; with FVG-PT also ``zero_shot``, and ``fdc``, the tuner's through the adapter of FDC.
    """
    tuned = tuner_of(model).cached_text()['feature']
    features: Dict[str, Tensor] = {Source.TUNER: F.normalize(tuned.float(), dim=-1)}
    if hasattr(model, 'prior'):
        zero_shot = model.prior.cached_text()['feature']
        features[Source.ZERO_SHOT] = F.normalize(zero_shot.float(), dim=-1)
    if getattr(model, 'compensation', None) is not None:
        features['fdc'] = model.compensation.compensate(model.compensation.adapter_text, tuned)
    return features


def describe(inferencer: FVGPTInferencer) -> Dict[str, Any]:
    """Content of an export's JSON file.

    It has the classes, the provenance, the preprocessing of images, constants, and the formulas of
    those logits that are products of features.
    """
    model, tuner = inferencer.model, inferencer.tuner
    preprocessor = model.data_preprocessor
    formulas = {
        name: f'logit_scale * image.{name} @ text.{name}.T'
        for name in text_features(model)
        if tuner.logits_are_cosine or not reads_tuner_logits(model, name)
    }
    provenance = Provenance.of_model(model).to_dict()
    return dict(
        format=FORMAT,
        classes=list(model.class_names),
        branch=str(model.branch),
        dataset_name=inferencer.config.dataset_name,
        provenance={**inferencer.config.provenance, **provenance},
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


def reads_tuner_logits(model: CLIPClassifier, name: str) -> bool:
    """Whether the logits of a kind of :func:`text_features` contain the tuner's own."""
    if name == 'fdc':
        return bool(model.compensation.reads_tuner_logits)
    return name == Source.TUNER


@contextmanager
def new_files(out: str, names: Sequence[str], overwrite: bool) -> Iterator[Path]:
    """A temporary folder to write files to; if nothing fails, they are moved to ``out`` at the end.

    Args:
        out: folder, created if missing.
        names: of the files.
        overwrite: replace files in ``out``.

    Raises:
        FileTakenError: one of ``names`` exists in ``out``, and ``overwrite`` is False.
    """
    target = Path(out)
    there = [name for name in names if (target / name).exists()]
    if there and not overwrite:
        raise FileTakenError(
            f'{target / there[0]} exists already; choose another folder, or --overwrite'
        )
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target, prefix='.partial-') as folder:
        yield Path(folder)
        for file in Path(folder).iterdir():
            os.replace(file, target / file.name)
