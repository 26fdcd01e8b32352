"""FVG-PT: the classifier that puts the paper's three modules on a frozen, tuned CLIP."""

from typing import Any, Dict, List, Optional, Sequence, Union

import torch
import torch.nn.functional as F
from mmpretrain.structures import DataSample
from torch import Tensor

from ..clip.prompts import PLAIN_TEMPLATE
from ..io.errors import NotReadyError, UserError
from ..names import Branch, Source
from ..registry import LOSSES, MODELS
from ..tuners.base import PromptTuner
from ..tuners.checkpoint import load_tuner
from ..tuners.classifier import (
    CLIP_MEAN,
    CLIP_STD,
    CLIPClassifier,
    FrozenTowerClassifier,
    Inputs,
    gt_labels,
)
from ..tuners.features import FrozenFeatures, ViewFeatures
from ..tuners.zero_shot import ZeroShotCLIP
from .adapter_watch import AdapterWatch
from .calibration_folds import CrossFittedSignals, FoldTuners, check_fold_keys
from .distillation_compensation import ForegroundDistillationCompensation
from .prior_calibration import PriorCalibration
from .reliability_gate import ForegroundReliabilityGate
from .signals import NO_EXCHANGED_VIEW, Signals

FILLS = ('mean', 'black', 'image')
STUDENT_VIEWS = ('full', 'exchange')


@MODELS.register_module()
class FVGPT(FrozenTowerClassifier):
    """Foreground view-guided prompt tuning on any :class:`~fvgpt.tuners.PromptTuner`.

    Classes that were trained on are predicted from z_FDC (base branch), others from z_PC (new
    branch); without FDC the base branch is the tuner, without PC the new branch is z_FDC, as in the
    paper's Table 3. The branch ``open``, for trained and new classes together, joins the two
    (:func:`~fvgpt.foreground.open_world.join_branches`). The two branches share no trained
    parameter. Masks are needed for training only.

    Args:
        tuner: a trained tuner, or its config. It is frozen here.
        backbone_checkpoint: file with the tuner's trained parameters, written by tuning it with
            this project.
        reliability_gate: config of the FRG; None switches it off, then r = ``fixed_trust``
            (decision O22).
        compensation: config of FDC; None switches it off, and FRG with it.
        calibration: config of PC; None switches it off.
        gate_loss, distillation_loss, calibration_loss: configs of L_FRG, L_dist and L_PC. Their
            ``type``, and that of the three modules above, is optional.
        calibration_folds: K, to train PC on cross-fitted logits: in training, the z_main that b
            and L_PC read come from K further tuners, each trained without one of K folds of the
            images, and each image's from the tuner that has not seen it. Everything else, and every
            prediction, uses ``tuner``. None is the paper's form: ``tuner`` itself, which was
            trained on these images. Without PC there are no folds.
        fold_checkpoints: K files, of the tuner trained without fold 0, 1, ..., K - 1. If there are
            none, a recipe with a stage 1 trains these tuners, too.
        prior_template: prompt of z_CLIP, see :func:`~fvgpt.clip.prompts.resolve_template` (decision
            O13).
        fixed_trust: r without a gate.
        fg_fill: the background of x_fg: ``mean``, CLIP's mean colour (zero after normalisation, as
            released), or ``black`` (decision O1). ``image``, the image's own background, is a
            control: x_fg = x, while A(m) and its bounds (decision O2) stay those of the mask, so
            that the gate and the distillation work on the same images as with the mask.
        student_view: what the adapters of FDC are trained on. ``full`` is the paper's form.
            ``exchange`` adds a second view x' = m x + (1 - m) B_k, the object on the background of
            an image k of another class (:class:`~fvgpt.datasets.PasteForeground`), and distils from
            the full view only::

                L_base = mean over v in {x, x'} of
                    CE(z_FDC(v), y) + lambda_d KL(p_full(x) || p_FDC(v)),

            that is r = 0: FRG is switched off, and ``fixed_trust`` is not used. (Background
            exchange, not in the paper; meant for gradients clipped to a norm of 5, see
            docs/method.md.) The image tower sees as many views as in the paper's form.
        foreground_ce: weight of a further term CE(z_FDC(x_fg), y) of L_base; 0 leaves it out (not
            in the paper). With ``exchange`` the image tower sees three views.
        compare: predictions also contain ``tuner_score`` and ``zero_shot_score``, so that one
            evaluation shows what each part contributes.
        data_preprocessor: see :class:`~fvgpt.tuners.classifier.CLIPClassifier`.

    Raises:
        UserError: an unknown ``fg_fill`` or ``student_view``, a negative ``foreground_ce``, an
            invalid number of folds or of their checkpoints, or the checkpoint does not fit the
            tuner.
        MissingFileError: there is no such checkpoint.
    """

    source = Source.FVGPT

    def __init__(
        self,
        tuner: Union[PromptTuner, dict],
        backbone_checkpoint: Optional[str] = None,
        reliability_gate: Optional[dict] = dict(type='ForegroundReliabilityGate'),
        compensation: Optional[dict] = dict(type='ForegroundDistillationCompensation'),
        calibration: Optional[dict] = dict(type='PriorCalibration'),
        gate_loss: dict = dict(type='ReliabilityLoss'),
        distillation_loss: dict = dict(type='ForegroundDistillationLoss'),
        calibration_loss: dict = dict(type='PriorCalibrationLoss'),
        calibration_folds: Optional[int] = None,
        fold_checkpoints: Optional[Sequence[str]] = None,
        prior_template: str = PLAIN_TEMPLATE,
        fixed_trust: float = 1.0,
        fg_fill: str = 'mean',
        compare: bool = True,
        data_preprocessor: Optional[dict] = None,
        student_view: str = 'full',
        foreground_ce: float = 0.0,
    ):
        super().__init__(data_preprocessor=data_preprocessor)
        if fg_fill not in FILLS:
            raise UserError(f'fg_fill must be one of {FILLS}, not {fg_fill!r}')
        if student_view not in STUDENT_VIEWS:
            raise UserError(f'student_view must be one of {STUDENT_VIEWS}, not {student_view!r}')
        if foreground_ce < 0:
            raise UserError(f'foreground_ce must be at least 0, not {foreground_ce}')
        check_fold_keys(calibration_folds, fold_checkpoints)
        # The folds serve PC only.
        self.calibration_folds = calibration_folds if calibration is not None else None
        self.fold_tuners: Optional[FoldTuners] = None
        self.tuner: PromptTuner = MODELS.build(tuner) if isinstance(tuner, dict) else tuner
        self._tuner_is_trained = not isinstance(tuner, dict) or not list(self.tuner.parameters())
        if backbone_checkpoint is not None:
            self.load_backbone(backbone_checkpoint)
        self.tuner.requires_grad_(False).eval()
        self.prior = ZeroShotCLIP(self.tuner.clip, prior_template)
        self.exchange, self.foreground_ce = student_view == 'exchange', foreground_ce
        self.fixed_trust = 0.0 if self.exchange else fixed_trust
        self.fg_fill, self.compare = fg_fill, compare

        size = dict(dim=self.tuner.clip.embed_dim, logit_scale=self.tuner.clip.logit_scale)
        self.compensation: Optional[ForegroundDistillationCompensation] = (
            build_seeded({**size, **compensation}, 1, 'ForegroundDistillationCompensation')
            if compensation is not None
            else None
        )
        # The gate serves the distillation from the foreground view only: without that there is
        # nothing to gate.
        gated = self.compensation is not None and not self.exchange
        self.reliability_gate: Optional[ForegroundReliabilityGate] = (
            build_seeded(reliability_gate, 2, 'ForegroundReliabilityGate')
            if gated and reliability_gate is not None
            else None
        )
        self.calibration: Optional[PriorCalibration] = (
            build_seeded(calibration, 3, 'PriorCalibration') if calibration is not None else None
        )
        self.gate_loss = LOSSES.build({'type': 'ReliabilityLoss', **gate_loss})
        self.distillation_loss = LOSSES.build(
            {'type': 'ForegroundDistillationLoss', **distillation_loss}
        )
        self.calibration_loss = LOSSES.build({'type': 'PriorCalibrationLoss', **calibration_loss})
        self.watch = AdapterWatch(
            self.compensation is not None and self.compensation.adapter_input == 'raw'
        )
        self.register_load_state_dict_post_hook(self._after_load)

    def load_backbone(self, checkpoint: str) -> None:
        """Load the tuner's trained parameters, see ``backbone_checkpoint``.

        Raises:
            MissingFileError, UserError: see :func:`~fvgpt.tuners.checkpoint.load_tuner`.
        """
        load_tuner(self.tuner, checkpoint)
        self._tuner_is_trained = True

    def load_fold_tuners(self, checkpoints: Sequence[str], folds: Sequence[int]) -> None:
        """Load the tuners that PC is trained on, see ``calibration_folds``.

        Args:
            checkpoints: K files, of the tuner trained without fold 0, 1, ..., K - 1.
            folds: (N,), fold of each training image, by its position in the training set.

        Raises:
            MissingFileError, UserError: see :func:`~fvgpt.tuners.checkpoint.load_tuner`.
        """
        self.fold_tuners = FoldTuners.load(self.tuner, checkpoints, folds)

    def _apply(self, fn, recurse: bool = True) -> 'FVGPT':
        super()._apply(fn, recurse)
        for tuner in self.fold_tuners.tuners if self.fold_tuners else ():
            tuner._apply(fn)
        return self

    @staticmethod
    def _after_load(module: 'FVGPT', incompatible) -> None:
        module._tuner_is_trained |= not any(
            key.startswith('tuner.') for key in incompatible.missing_keys
        )

    def train(self, mode: bool = True) -> 'FVGPT':
        """Set training mode; the tuner stays in evaluation mode."""
        super().train(mode)
        self.tuner.eval()
        return self

    def _build_classes(self, class_names: List[str]) -> None:
        for part in (self.tuner, self.prior):
            part.set_class_names(class_names, dataset_name=self.dataset_name)

    def set_trained_classes(self, class_names: Sequence[str]) -> None:
        """Record the classes of the training set.

        The tuner takes them too, unless it knows its own: its parameters may belong to classes in
        another order (Tip-Adapter), or to others, than those that FVG-PT is trained on.
        """
        super().set_trained_classes(class_names)
        if not self.tuner.trained_class_names:
            self.tuner.set_trained_classes(class_names)

    # ------------------------------------------------------------------ frozen features
    @property
    def needs_masks(self) -> bool:
        """Whether training reads the foreground view x_fg: FDC does, PC does not."""
        return self.compensation is not None and (not self.exchange or self.foreground_ce > 0)

    @property
    def needs_exchanged(self) -> bool:
        """Whether training reads the exchanged view x'."""
        return self.compensation is not None and self.exchange

    def foreground_view(self, images: Tensor, masks: Tensor) -> Tensor:
        """x_fg = x * m, (B, 3, H, W), of normalised images and masks (B, 1, H, W) in {0, 1}."""
        if self.fg_fill == 'image':
            return images
        view = images * masks
        if self.fg_fill == 'black':
            mean, std = images.new_tensor(CLIP_MEAN), images.new_tensor(CLIP_STD)
            view = view + (1 - masks) * (-mean / std).view(3, 1, 1)
        return view

    def extract_feat(
        self,
        images: Tensor,
        masks: Optional[Tensor] = None,
        original: bool = True,
        exchanged: Optional[Tensor] = None,
    ) -> FrozenFeatures:
        """Features of the full view and of the other views that are given.

        The tuner's image tower sees all views in one stacked batch. If it is not the original
        CLIP's, that one makes a second pass over the full view, unless ``original`` is False.

        Args:
            images: normalised, (B, 3, H, W).
            masks: (B, 1, H, W) in {0, 1}, for the foreground view x_fg.
            original: see :class:`~fvgpt.tuners.classifier.FrozenTowerClassifier`.
            exchanged: normalised, (B, 3, H, W), the exchanged view x'.
        """
        others: Dict[str, Tensor] = {}
        if masks is not None:
            others['foreground'] = self.foreground_view(images, masks)
        if exchanged is not None:
            others['exchanged'] = exchanged
        if not others:
            return self.tuner.extract_feat(images, original=original)
        count = len(images)
        stacked = self.tuner.extract_view(torch.cat([images, *others.values()]), original=False)
        full, *rest = (
            stacked.rows(slice(start, start + count))
            for start in range(0, count * (1 + len(others)), count)
        )
        if original and full.clip is None:
            full = full._replace(clip=self.tuner.clip.encode_image(images))
        area = None if masks is None else masks.mean((1, 2, 3))
        return FrozenFeatures(full, area=area, **dict(zip(others, rest)))

    def extract_for(
        self, images: Tensor, data_samples: Optional[List[DataSample]]
    ) -> FrozenFeatures:
        """With the views that FDC is trained on, and the original CLIP's features for PC."""
        if data_samples is None:
            return self.extract_feat(images, original=self._reads_clip)
        masks = stack_masks(data_samples, images) if self.needs_masks else None
        exchanged = stack_exchanged(data_samples, images) if self.needs_exchanged else None
        frozen = self.extract_feat(images, masks, self.calibration is not None, exchanged)
        return frozen._replace(held_out=self.extract_held_out(images, data_samples))

    def extract_held_out(
        self, images: Tensor, data_samples: List[DataSample]
    ) -> Optional[ViewFeatures]:
        """See :class:`~fvgpt.tuners.classifier.FrozenTowerClassifier`."""
        if self.fold_tuners is None:
            return None
        return self.fold_tuners.extract_view(images, self.fold_tuners.of(data_samples))

    @property
    def _reads_clip(self) -> bool:
        return self.compare or (self.calibration is not None and self.branch != Branch.BASE)

    def cache_key(self, training: bool) -> str:
        """Which views are read, and what the trained tuner's image features depend on."""
        views = 'full view'
        if training and self.needs_masks:
            views = f'both views {self.fg_fill}'
        if training and self.needs_exchanged:
            views += ' exchanged'
        held_out = self.fold_tuners.cache_key() if training and self.fold_tuners else ''
        return f'{views} {self.tuner.cache_key(training=False)}{held_out}'

    def signals(self, frozen: FrozenFeatures) -> Signals:
        """The paper's quantities of a batch: all of this model's logits and trust scores."""
        return Signals(self, frozen)

    def training_signals(self, frozen: FrozenFeatures, data_samples: List[DataSample]) -> Signals:
        """Of a training batch: with ``calibration_folds``, z_main, b and z_PC are cross-fitted.

        Raises:
            NotReadyError: the tuners of the folds are not loaded.
        """
        if self.calibration_folds is None:
            return self.signals(frozen)
        if self.fold_tuners is None:
            raise NotReadyError(
                f'calibration_folds={self.calibration_folds} needs the tuners of the folds: train '
                'with the PromptTuningRunner, or call load_fold_tuners()'
            )
        self.fold_tuners.set_class_names(self.class_names, self.dataset_name)
        return CrossFittedSignals(self, frozen, self.fold_tuners, self.fold_tuners.of(data_samples))

    # ------------------------------------------------------------------ training
    def loss(self, inputs: Inputs, data_samples: List[DataSample]) -> Dict[str, Tensor]:
        """L_base and L_PC of a batch, term by term.

        Args:
            inputs: normalised images (B, 3, H, W), or their frozen features.
            data_samples: with ``gt_label`` and, for images, ``mask`` (1, H, W) unless FDC is off.

        Raises:
            NotReadyError: the tuner was never trained, or there is nothing to train.
        """
        if not self._tuner_is_trained:
            raise NotReadyError(
                'FVGPT would be trained on a tuner that was never trained: set '
                "backbone_checkpoint to the tuner's checkpoint (tools/train.py does so itself)"
            )
        with torch.no_grad():
            frozen = self.frozen(inputs, data_samples)
        signals = self.training_signals(frozen, data_samples)
        labels = gt_labels(data_samples, signals.full['feature'].device)
        terms: Dict[str, Tensor] = {}
        if self.compensation is not None:
            terms.update(self.base_losses(signals, labels))
        if self.calibration is not None:
            terms.update(self.new_losses(signals, labels))
        if not terms:
            raise NotReadyError(
                'nothing to train: compensation and calibration are both switched off'
            )
        return terms

    def base_losses(self, signals: Signals, labels: Tensor) -> Dict[str, Tensor]:
        """The terms of L_base, for labels (B,).

        ``loss_fdc`` is CE(z_FDC, y), ``loss_gate`` lambda_FRG L_FRG, ``loss_distill`` lambda_d
        L_dist; with ``student_view='exchange'`` the first and the last are means over x and x', and
        there is no gate. ``loss_fdc_fg`` is CE(z_FDC(x_fg), y) times ``foreground_ce``.
        Terms whose key contains ``loss`` are added up and trained, the others are only logged. A
        further term is a class in ``losses/``, a key of this class for its config, and a line here.
        """
        students = [signals.z_fdc]
        if self.exchange:
            students.append(signals.z_fdc_exchanged)
        terms = dict(loss_fdc=torch.stack([F.cross_entropy(z, labels) for z in students]).mean())
        terms.update(self._distillation(signals, labels, students))
        if self.foreground_ce > 0:
            terms['loss_fdc_fg'] = self.foreground_ce * F.cross_entropy(signals.z_fdc_fg, labels)
        residual_image, residual_text = signals.residuals
        self.watch(residual_image, residual_text)
        return dict(
            terms,
            adapter_image_norm=residual_image.relative_length(),
            adapter_text_norm=residual_text.relative_length(),
        )

    def _distillation(
        self, signals: Signals, labels: Tensor, students: List[Tensor]
    ) -> Dict[str, Tensor]:
        """lambda_d L_dist of z_FDC of the student's views; with FRG also its loss, and mean r."""
        z_full = signals.z_full
        if self.exchange:
            each = [self.distillation_loss(z, z_full) for z in students]
            return dict(loss_distill=torch.stack(each).mean())
        terms: Dict[str, Tensor] = {}
        z_fg = signals.z_fg
        if self.reliability_gate is not None:
            trust = signals.foreground_trust
            terms['loss_gate'] = self.gate_loss(trust.logit, z_full, z_fg, labels, trust.valid)
        (z_student,) = students
        terms['loss_distill'] = self.distillation_loss(z_student, z_full, z_fg, signals.r)
        return dict(terms, trust_foreground=signals.r.detach().mean())

    def new_losses(self, signals: Signals, labels: Tensor) -> Dict[str, Tensor]:
        """The term of the new branch, ``loss_prior`` = lambda L_PC, for labels (B,)."""
        loss = self.calibration_loss(signals.z_pc, signals.z_clip, labels)
        return dict(loss_prior=loss, trust_clip=signals.b.detach().mean())

    # ------------------------------------------------------------------ inference
    @torch.no_grad()
    def logits_by_source(self, inputs: Inputs) -> Dict[str, Tensor]:
        """``fvgpt``: z_FDC, z_PC or, in the open world, both joined; with ``compare`` also
        ``zero_shot`` and ``tuner``, (B, C) each."""
        return self.signals(self.frozen(inputs)).by_source(self.branch, self.compare)


def beside_the_tuner(model: CLIPClassifier) -> FVGPT:
    """FVG-PT itself, or for a tuner alone an FVGPT on it whose modules are all switched off.

    So analysis and demo read :class:`Signals` in both cases, and can compare a tuner with
    zero-shot CLIP.

    Raises:
        UserError: the model is neither.
    """
    if isinstance(model, FVGPT):
        return model
    if not isinstance(model, PromptTuner):
        raise UserError(
            f'{type(model).__name__} is neither FVGPT nor a prompt tuner, so there is nothing to '
            'compare'
        )
    bare = FVGPT(
        model,
        reliability_gate=None,
        compensation=None,
        calibration=None,
        data_preprocessor=model.data_preprocessor,
    )
    bare.set_trained_classes(model.trained_class_names)
    return bare.to(model.clip.device)


def build_seeded(config: dict, offset: int, default_type: str) -> Any:
    """Build a module whose initial values depend on torch's seed and ``offset`` only.

    So switching one module off changes neither the initial values of the others nor the random
    numbers of the augmentation: the runs of an ablation differ in that module only.

    Args:
        config: of the module.
        offset: added to the seed.
        default_type: used if the config has no ``type``.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch.initial_seed() + offset)
        return MODELS.build({'type': default_type, **config})


def stack_exchanged(data_samples: List[DataSample], images: Tensor) -> Tensor:
    """Exchanged views (B, 3, H, W) of a batch, normalised as the images.

    Raises:
        UserError: a sample has none, one of another size than its image, or one that was not
            normalised.
    """
    views = []
    for sample in data_samples:
        if 'exchanged' not in sample:
            raise UserError(NO_EXCHANGED_VIEW)
        if sample.exchanged.shape != images.shape[1:]:
            raise UserError(
                f'an exchanged view of size {tuple(sample.exchanged.shape)} belongs to an image of '
                f'size {tuple(images.shape[1:])}: PasteForeground must be behind the transforms '
                'that change the geometry'
            )
        views.append(sample.exchanged)
    stacked = torch.stack(views)
    if not stacked.is_floating_point():
        raise UserError(
            'the exchanged views were not normalised: set the data_preprocessor of the model to '
            "type='CLIPDataPreprocessor', or leave it out"
        )
    return stacked.to(images)


def stack_masks(data_samples: List[DataSample], images: Tensor) -> Tensor:
    """Foreground masks (B, 1, H, W) in {0, 1} of a batch, in the images' dtype.

    Raises:
        UserError: a sample has no mask, or one of another size than its image.
    """
    masks = []
    for sample in data_samples:
        if 'mask' not in sample:
            raise UserError(
                'training FDC needs foreground masks, but the data samples have none: add '
                'LoadForegroundMask and PackForegroundInputs to the pipeline, or switch FDC off '
                'with compensation=None'
            )
        mask = sample.mask.reshape(1, *sample.mask.shape[-2:])
        if mask.shape[-2:] != images.shape[-2:]:
            raise UserError(
                f'a mask of size {tuple(mask.shape[-2:])} belongs to an image of size '
                f'{tuple(images.shape[-2:])}: a transform changed one without the other'
            )
        masks.append(mask)
    return torch.stack(masks).to(images)
