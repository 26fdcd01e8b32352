"""Prior Calibration of any tuned classifier with any zero-shot classifier."""

from copy import deepcopy
from typing import Callable, Dict, List, Optional, Tuple, Union

import torch
import torch.nn.functional as F
from mmengine.runner import CheckpointLoader
from mmpretrain.models.classifiers import BaseClassifier
from mmpretrain.structures import DataSample
from torch import Tensor

from ..datasets.class_names import readable
from ..io.errors import UserError
from ..names import Branch
from ..registry import LOSSES, MODELS
from ..tuners.base import PromptTuner
from ..tuners.checkpoint import load_parameters, load_tuner
from ..tuners.classifier import CLIPClassifier, Inputs, gt_labels


@MODELS.register_module()
class PriorCalibratedClassifier(CLIPClassifier):
    """z_PC = (1 - b) z_tuned + b z_prior of two frozen classifiers; only the gate b is trained.

    The gate has 161 parameters. Each classifier is one of ours, mmpretrain's ``CLIPZeroShot`` or
    ``ChineseCLIP``, or an ``ImageClassifier`` that was trained on the data set's classes. Both read
    the images that this model's data preprocessor returns; for a classifier whose own preprocessor
    has another mean or standard deviation they are normalised to those. Checkpoints contain the
    gate only.

    The formula is that of FVG-PT's new branch (paper, PC). Unlike there, the prior need not be the
    CLIP that was tuned, so the logits of the two may have different scales.

    Args:
        tuned, prior: the classifiers, or their configs.
        tuned_checkpoint, prior_checkpoint: their weights, a file or an address that MMEngine can
            read; not needed if the config has ``init_cfg`` or ``pretrained``, or if there is
            nothing to load.
        prior_names: class name of the data set -> its name in the language of the prior, for
            ChineseCLIP; other classes have the same name for both.
        calibration: config of PC.
        calibration_loss: config of L_PC.
        data_preprocessor: see :class:`~fvgpt.tuners.classifier.CLIPClassifier`.

    Raises:
        UserError: the config of a model with parameters has no weights, or they do not fit.
        MissingFileError, FileNotFoundError: there is no such checkpoint.
    """

    source = 'calibrated'

    def __init__(
        self,
        tuned: Union[BaseClassifier, dict],
        prior: Union[BaseClassifier, dict],
        tuned_checkpoint: Optional[str] = None,
        prior_checkpoint: Optional[str] = None,
        prior_names: Optional[Dict[str, str]] = None,
        calibration: dict = dict(type='PriorCalibration'),
        calibration_loss: dict = dict(type='PriorCalibrationLoss'),
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(data_preprocessor=data_preprocessor)
        # A tuple hides them from checkpoints, optimizers and train()
        self._frozen = (
            frozen(tuned, tuned_checkpoint, 'tuned'),
            frozen(prior, prior_checkpoint, 'prior'),
        )
        self.prior_names = prior_names or {}
        self.calibration = MODELS.build(calibration)
        self.calibration_loss = LOSSES.build(calibration_loss)

    def _apply(self, fn: Callable, recurse: bool = True) -> 'PriorCalibratedClassifier':
        for model in self._frozen:
            model._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def _build_classes(self, class_names: List[str]) -> None:
        tuned, prior = self._frozen
        name_classes(tuned, class_names, self.dataset_name)
        name_classes(
            prior, [self.prior_names.get(name, name) for name in class_names], self.dataset_name
        )

    @torch.no_grad()
    def frozen_logits(self, images: Tensor) -> Tuple[Tensor, Tensor]:
        """Logits (B, C) of the tuned classifier and of the prior, for normalised images.

        Args:
            images: (B, 3, H, W).

        Raises:
            UserError: a classifier has another number of classes than the data set.
        """
        tuned, prior = (
            logits_of(model, self._normalised_for(model, images)) for model in self._frozen
        )
        for what, z in (('tuned', tuned), ('prior', prior)):
            if z.shape[-1] != len(self.class_names):
                raise UserError(
                    f'the {what} classifier has {z.shape[-1]} classes, the data set '
                    f"{len(self.class_names)}: give one that was trained on the data set's classes"
                )
        return tuned, prior

    def _normalised_for(self, model: BaseClassifier, images: Tensor) -> Tensor:
        here, there = self.data_preprocessor, model.data_preprocessor
        if not getattr(there, '_enable_normalize', False):
            return images
        if torch.equal(here.mean, there.mean.to(here.mean)) and torch.equal(
            here.std, there.std.to(here.std)
        ):
            return images
        return (images * here.std + here.mean - there.mean) / there.std

    def loss(self, inputs: Inputs, data_samples: List[DataSample]) -> Dict[str, Tensor]:
        """L_PC, and ``trust_prior``, the mean of b, of normalised images (B, 3, H, W)."""
        assert isinstance(inputs, Tensor), 'cache_key() is None, so nothing is cached'
        z_tuned, z_prior = self.frozen_logits(inputs)
        z_pc, b = self.calibration(z_tuned, z_prior)
        labels = gt_labels(data_samples, z_pc.device)
        loss = self.calibration_loss(z_pc, z_prior, labels)
        return dict(loss_prior=loss, trust_prior=b.detach().mean())

    def logits_by_source(self, inputs: Inputs) -> Dict[str, Tensor]:
        """``calibrated``: z_PC; ``tuned`` and ``prior``: the two classifiers', (B, C) each."""
        assert isinstance(inputs, Tensor), 'cache_key() is None, so nothing is cached'
        z_tuned, z_prior = self.frozen_logits(inputs)
        z_pc = self.calibration(z_tuned, z_prior).z_pc
        return dict(calibrated=z_pc, tuned=z_tuned, prior=z_prior)


def frozen(
    model: Union[BaseClassifier, dict], checkpoint: Optional[str], what: str
) -> BaseClassifier:
    """A classifier with its weights, in evaluation mode and without gradients.

    Args:
        model: the classifier, or its config.
        checkpoint: its weights; None if there is nothing to load.
        what: ``tuned`` or ``prior``, for messages.

    Raises:
        UserError, FileNotFoundError: see :class:`PriorCalibratedClassifier`.
    """
    built: BaseClassifier = model
    if isinstance(model, dict):
        known = checkpoint or model.get('init_cfg') or model.get('pretrained')
        # A copy, because mmpretrain's CLIP writes its attention mask into its config
        built = MODELS.build(deepcopy(model))
        if not known and list(built.parameters()):
            raise UserError(
                f'the {what} {type(built).__name__} would be used with random weights: give '
                f'{what}_checkpoint'
            )
        if not isinstance(built, CLIPClassifier):
            built.init_weights()
    if checkpoint and isinstance(built, PromptTuner):
        load_tuner(built, checkpoint)
    elif checkpoint:
        content = CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu')
        load_parameters(built, content.get('state_dict', content), checkpoint)
    return built.requires_grad_(False).eval()


def name_classes(
    model: BaseClassifier, class_names: List[str], dataset_name: Optional[str]
) -> None:
    """Set the classes of a classifier whose classes are names; others are left unchanged."""
    if isinstance(model, CLIPClassifier):
        # PC is the branch of new classes, in training too
        model.set_class_names(class_names, Branch.NEW, dataset_name)
    elif hasattr(model, 'text_prototype_embeds'):
        model.prototype, model.text_prototype_embeds = (
            [readable(name) for name in class_names],
            None,
        )


def logits_of(model: BaseClassifier, images: Tensor) -> Tensor:
    """Logits (B, C), float32, of any classifier, for images normalised for it.

    mmpretrain's zero-shot models return probabilities only, which round to 0 for most classes at
    CLIP's logit scale. So their logits are computed here, by the same formula.
    """
    if not hasattr(model, 'text_prototype_embeds'):
        return model(images, mode='tensor').float()
    if model.text_prototype_embeds is None:
        model.prepare_text_prototype(images.device)
    f = F.normalize(model.extract_image_feat(images).float(), dim=-1)
    return model.logit_scale.exp() * f @ model.text_prototype_embeds.to(f)
