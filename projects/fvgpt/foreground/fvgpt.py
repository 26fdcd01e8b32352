"""FVG-PT: the classifier that puts the paper's three modules on a frozen, tuned CLIP."""

from typing import Any, Dict, List, Optional, Sequence, Union

import torch
import torch.nn.functional as F
from mmpretrain.structures import DataSample
from torch import Tensor

from ..clip.prompts import PLAIN_TEMPLATE
from ..io.errors import NotReadyError, UserError
from ..registry import LOSSES, MODELS
from ..tuners.base import PromptTuner
from ..tuners.checkpoint import load_tuner
from ..tuners.classifier import CLIP_MEAN, CLIP_STD, CLIPClassifier, Features, Inputs, gt_labels
from ..tuners.zero_shot import ZeroShotCLIP
from .distillation_compensation import ForegroundDistillationCompensation
from .open_world import join_branches
from .prior_calibration import PriorCalibration
from .reliability_gate import ForegroundReliabilityGate

FILLS = ('mean', 'black')


@MODELS.register_module()
class FVGPT(CLIPClassifier):
    """Foreground view-guided prompt tuning on any :class:`~fvgpt.tuners.PromptTuner`.

    Classes that were trained on are predicted from z_FDC (base branch), others from z_PC (new branch); without FDC the
    base branch is the tuner, without PC the new branch is z_FDC, as in the paper's Table 3. Where trained and new classes are
    mixed (branch ``open``) the two are joined. The two branches share no trained parameter. Masks are needed for training
    only.

    Args:
        tuner: a trained tuner, or its config. It is frozen here.
        backbone_checkpoint: file with the tuner's trained parameters, written by tuning it with this project.
        reliability_gate: config of the FRG; None switches it off, then r = ``fixed_trust`` (decision O22).
        compensation: config of FDC; None switches it off, and FRG with it.
        calibration: config of PC; None switches it off.
        gate_loss, distillation_loss, calibration_loss: configs of L_FRG, L_dist and L_PC. Their ``type``, and that of the
            three modules above, may be left out.
        prior_template: prompt of z_CLIP, see :func:`~fvgpt.clip.resolve_template` (decision O13).
        fixed_trust: r where there is no gate.
        fg_fill: what the background of x_fg becomes: ``mean``, CLIP's mean colour (zero after normalisation, as
            released), or ``black`` (decision O1).
        compare: let predictions also carry ``tuner_score`` and ``zero_shot_score``, so that one evaluation tells what
            each part is worth.
        class_names, data_preprocessor: see :class:`~fvgpt.tuners.classifier.CLIPClassifier`.
    """

    source = 'fvgpt'

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
        prior_template: str = PLAIN_TEMPLATE,
        fixed_trust: float = 1.0,
        fg_fill: str = 'mean',
        compare: bool = True,
        class_names: Optional[Sequence[str]] = None,
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(data_preprocessor=data_preprocessor)
        if fg_fill not in FILLS:
            raise UserError(f'fg_fill must be one of {FILLS}, not {fg_fill!r}')
        self.tuner: PromptTuner = MODELS.build(tuner) if isinstance(tuner, dict) else tuner
        self._tuner_is_trained = not isinstance(tuner, dict) or not list(self.tuner.parameters())
        if backbone_checkpoint is not None:
            self.load_backbone(backbone_checkpoint)
        self.tuner.requires_grad_(False).eval()
        self.prior = ZeroShotCLIP(self.tuner.clip, prior_template)
        self.fixed_trust, self.fg_fill, self.compare = fixed_trust, fg_fill, compare

        size = dict(dim=self.tuner.clip.embed_dim, logit_scale=self.tuner.clip.logit_scale)
        self.compensation: Optional[ForegroundDistillationCompensation] = (
            build_seeded({**size, **compensation}, 1, 'ForegroundDistillationCompensation')
            if compensation
            else None
        )
        # The gate serves the distillation only: without FDC there is nothing to gate.
        self.reliability_gate: Optional[ForegroundReliabilityGate] = (
            build_seeded(reliability_gate, 2, 'ForegroundReliabilityGate')
            if compensation and reliability_gate
            else None
        )
        self.calibration: Optional[PriorCalibration] = (
            build_seeded(calibration, 3, 'PriorCalibration') if calibration else None
        )
        self.gate_loss = LOSSES.build({'type': 'ReliabilityLoss', **gate_loss})
        self.distillation_loss = LOSSES.build(
            {'type': 'ForegroundDistillationLoss', **distillation_loss}
        )
        self.calibration_loss = LOSSES.build({'type': 'PriorCalibrationLoss', **calibration_loss})
        self.register_load_state_dict_post_hook(self._after_load)
        if class_names is not None:
            self.set_class_names(class_names)

    def load_backbone(self, checkpoint: str) -> None:
        """Load the tuner's trained parameters, see ``backbone_checkpoint``."""
        load_tuner(self.tuner, checkpoint)
        self._tuner_is_trained = True

    @staticmethod
    def _after_load(module: 'FVGPT', incompatible) -> None:
        module._tuner_is_trained |= not any(
            key.startswith('tuner.') for key in incompatible.missing_keys
        )

    def train(self, mode: bool = True) -> 'FVGPT':
        """As torch has it, but for the tuner, which stays in evaluation mode."""
        super().train(mode)
        self.tuner.eval()
        return self

    def _build_classes(self, class_names: List[str]) -> None:
        for part in (self.tuner, self.prior):
            part.set_class_names(class_names, dataset_name=self.dataset_name)

    def set_trained_classes(self, class_names: Sequence[str]) -> None:
        """Note the classes of the training set, for the tuner too."""
        super().set_trained_classes(class_names)
        self.tuner.set_trained_classes(class_names)

    # ------------------------------------------------------------------ features and logits of the frozen models
    def foreground_view(self, images: Tensor, masks: Tensor) -> Tensor:
        """x_fg (B, 3, H, W) of normalised images and masks (B, 1, H, W) in {0, 1} (method: x * m)."""
        view = images * masks
        if self.fg_fill == 'black':
            mean, std = (
                torch.tensor(v, device=images.device, dtype=images.dtype)
                for v in (CLIP_MEAN, CLIP_STD)
            )
            view = view + (1 - masks) * (-mean / std).view(3, 1, 1)
        return view

    @torch.no_grad()
    def extract_feat(
        self, images: Tensor, masks: Optional[Tensor] = None, untouched: bool = True
    ) -> Features:
        """What the frozen towers say of a batch: ``full.<name>`` of the image and, with masks (B, 1, H, W), ``fg.<name>`` of
        the foreground view, in one stacked pass, and ``area`` (B,), its share of the image.

        ``full.clip`` is untouched CLIP's feature; the tuner's own is that too unless its image tower is another, where it
        takes a second pass, spared with ``untouched`` False.
        """
        if masks is None:
            return {f'full.{k}': v for k, v in self.tuner.extract_feat(images, untouched).items()}
        count = len(images)
        both = self.tuner.extract_feat(
            torch.cat([images, self.foreground_view(images, masks)]), untouched=False
        )
        if untouched and 'clip' not in both:
            both['clip'] = self.tuner.clip.encode_image(images)  # of the full view alone
        frozen = {
            f'{view}.{k}': v[part]
            for view, part in (('full', slice(count)), ('fg', slice(count, None)))
            for k, v in both.items()
            if len(v[part])
        }
        return dict(frozen, area=masks.mean((1, 2, 3)))

    def view(self, frozen: Features, name: str) -> Features:
        """The tuner's features of the ``full`` or ``fg`` view."""
        return self.tuner.view(
            {k[len(name) + 1 :]: v for k, v in frozen.items() if k.startswith(f'{name}.')}
        )

    def cache_key(self, training: bool) -> Optional[str]:
        """Which views are read, and what the trained tuner's image features depend on; training can always do with it."""
        views = f'both views {self.fg_fill}' if training and self.compensation else 'full view'
        return f'{views} {self.tuner.cache_key(training=False)}'

    def prior_logits(self, clip_feature: Tensor) -> Tensor:
        """z_CLIP (B, C) of untouched CLIP's image features (B, D)."""
        return self.prior.logits(dict(feature=clip_feature), self.prior.cached_text())

    def text_features(self) -> Features:
        """Tuned text features, computed once as long as neither weights nor class names change."""
        return self.tuner.cached_text()

    # ------------------------------------------------------------------ training
    def loss(self, inputs: Inputs, data_samples: List[DataSample]) -> Dict[str, Tensor]:
        """L_base and L_PC of a batch, term by term.

        Args:
            inputs: normalised images (B, 3, H, W), or their :meth:`extract_feat`.
            data_samples: with ``gt_label`` and, for images, ``mask`` (1, H, W) unless FDC is off.
        """
        if not self._tuner_is_trained:
            raise NotReadyError(
                'FVGPT would be trained on a tuner that was never trained: set backbone_checkpoint to the '
                "tuner's checkpoint (tools/train.py does so by itself)"
            )
        if isinstance(inputs, dict):
            frozen = inputs
        else:
            masks = stack_masks(data_samples, inputs) if self.compensation else None
            frozen = self.extract_feat(inputs, masks, untouched=bool(self.calibration))
        full = self.view(frozen, 'full')
        labels = gt_labels(data_samples, full['feature'].device)
        terms: Dict[str, Tensor] = {}
        if self.compensation:
            terms.update(self.base_losses(full, self.view(frozen, 'fg'), frozen['area'], labels))
        if self.calibration:
            terms.update(self.new_losses(full, self.prior_logits(frozen['full.clip']), labels))
        if not terms:
            raise NotReadyError(
                'nothing to train: compensation and calibration are both switched off'
            )
        return terms

    def base_losses(
        self, full: Features, foreground: Features, area: Tensor, labels: Tensor
    ) -> Dict[str, Tensor]:
        """CE(z_FDC, y), L_FRG and L_dist, weighted.

        Args:
            full, foreground: tuned image features of both views. area: (B,) foreground share. labels: (B,).
        """
        assert self.compensation is not None, 'without FDC there is no base branch to train'
        text = self.text_features()
        z_full = self.tuner.logits(full, text, 'base')
        z_fg = self.tuner.logits(foreground, text, 'base')
        residual_image, residual_text = self.compensation.residuals(
            full['feature'], text['feature']
        )
        z_fdc = self.compensation.logits(residual_image, residual_text)
        terms = dict(loss_fdc=F.cross_entropy(z_fdc, labels))
        if self.reliability_gate:
            trust = self.reliability_gate(z_full, z_fg, area)
            r = trust.r
            terms['loss_gate'] = self.gate_loss(trust.logit, z_full, z_fg, labels, trust.valid)
        else:
            r = torch.full_like(area, self.fixed_trust)
        terms['loss_distill'] = self.distillation_loss(z_fdc, z_full, z_fg, r)
        return dict(
            terms,
            trust_foreground=r.detach().mean(),
            adapter_image_norm=residual_image.relative_length(),
            adapter_text_norm=residual_text.relative_length(),
        )

    def new_losses(self, full: Features, z_clip: Tensor, labels: Tensor) -> Dict[str, Tensor]:
        """L_PC, weighted.

        Args:
            full: tuned image features. z_clip: (B, C). labels: (B,).
        """
        assert self.calibration is not None, 'without PC there is no new branch to train'
        z_main = self.tuner.logits(full, self.text_features(), 'new')
        z_pc, b = self.calibration(z_main, z_clip)
        return dict(
            loss_prior=self.calibration_loss(z_pc, z_clip, labels), trust_clip=b.detach().mean()
        )

    # ------------------------------------------------------------------ inference
    @torch.no_grad()
    def logits_by_source(self, inputs: Inputs) -> Dict[str, Tensor]:
        """``fvgpt``: z_FDC, z_PC or, in the open world, both joined (:func:`~fvgpt.foreground.open_world.join_branches`);
        with ``compare`` also ``tuner`` and ``zero_shot``, (B, C) each."""
        if not isinstance(inputs, dict):
            inputs = self.extract_feat(inputs, untouched=self._reads_clip)
        return self.logits_of_frozen(inputs)

    @property
    def _reads_clip(self) -> bool:
        return self.compare or (self.calibration is not None and self.branch != 'base')

    def logits_of_frozen(self, frozen: Features) -> Dict[str, Tensor]:
        """:meth:`logits_by_source` of images whose :meth:`extract_feat` is ``frozen``, differentiable in it."""
        full, text = self.view(frozen, 'full'), self.text_features()
        z_clip = self.prior_logits(frozen['full.clip']) if self._reads_clip else None
        logits: Dict[str, Tensor] = {}
        if self.compare and z_clip is not None:
            logits['zero_shot'] = z_clip
            logits['tuner'] = self.tuner.logits(full, text, self.branch)
        if self.branch == 'open':
            logits['fvgpt'] = join_branches(
                self._base_logits(full, text, 'base'),
                self._new_logits(full, text, z_clip),
                self.trained_columns(text['feature'].device) >= 0,
            )
        elif self.branch == 'new':
            logits['fvgpt'] = self._new_logits(full, text, z_clip)
        else:
            logits['fvgpt'] = self._base_logits(full, text, 'base')
        return logits

    def _base_logits(self, full: Features, text: Features, branch: str) -> Tensor:
        if self.compensation:
            return self.compensation(full['feature'], text['feature'])
        return self.tuner.logits(full, text, branch)

    def _new_logits(self, full: Features, text: Features, z_clip: Optional[Tensor]) -> Tensor:
        if self.calibration:
            return self.calibration(self.tuner.logits(full, text, 'new'), z_clip).z_pc
        return self._base_logits(full, text, 'new')


def build_seeded(config: dict, offset: int, default_type: str) -> Any:
    """Build a module from initial values that depend on torch's seed and ``offset`` alone.

    So switching one module off changes neither the others' start nor the random numbers of the augmentation: runs of an
    ablation differ by the module and by nothing else.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch.initial_seed() + offset)
        return MODELS.build({'type': default_type, **config})


def stack_masks(data_samples: List[DataSample], images: Tensor) -> Tensor:
    """Foreground masks (B, 1, H, W) in {0, 1} of a batch, in the images' dtype.

    Raises:
        ValueError: a sample has no mask, or one of another size than its image.
    """
    masks = []
    for sample in data_samples:
        if 'mask' not in sample:
            raise UserError(
                'training FDC needs foreground masks, but the data samples have none: add LoadForegroundMask '
                'and PackForegroundInputs to the pipeline, or switch FDC off with compensation=None'
            )
        mask = sample.mask.reshape(1, *sample.mask.shape[-2:])
        if mask.shape[-2:] != images.shape[-2:]:
            raise UserError(
                f'a mask of {tuple(mask.shape[-2:])} came with an image of {tuple(images.shape[-2:])}: a '
                'transform moved one without the other'
            )
        masks.append(mask)
    return torch.stack(masks).to(images)
