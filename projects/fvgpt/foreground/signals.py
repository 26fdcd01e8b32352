"""The quantities of the paper for one batch, each derived in one place."""

from functools import cached_property
from typing import Callable, Dict, Optional, Protocol, Tuple

import torch
from torch import Tensor

from ..io.errors import UserError
from ..names import Branch, Source
from ..tuners.base import PromptTuner
from ..tuners.features import Features, FrozenFeatures
from ..tuners.zero_shot import ZeroShotCLIP
from .distillation_compensation import ForegroundDistillationCompensation, Residual
from .open_world import join_branches
from .prior_calibration import Calibrated, PriorCalibration
from .reliability_gate import ForegroundReliabilityGate, ForegroundTrust

NO_EXCHANGED_VIEW = (
    "student_view='exchange' needs each image on the background of another one: use "
    "exchange_pipeline, or add PasteForeground(output='exchanged') before PackForegroundInputs"
)


class Modules(Protocol):
    """What signals are derived from: the frozen models and the three modules of FVG-PT."""

    tuner: PromptTuner
    prior: ZeroShotCLIP
    reliability_gate: Optional[ForegroundReliabilityGate]
    compensation: Optional[ForegroundDistillationCompensation]
    calibration: Optional[PriorCalibration]
    fixed_trust: float

    def trained_columns(self, device: Optional[torch.device] = None) -> Tensor:
        """See :class:`~fvgpt.tuners.classifier.CLIPClassifier`."""


class Signals:
    """Logits (B, C) and trust scores (B,) of a batch, named by the paper's symbols.

    Each is computed when it is first read, so a prediction computes only what it needs. A module
    that is switched off is replaced as in the paper's ablation (Table 3): without FDC z_FDC is
    z_full, without PC z_PC is z_FDC, without FRG r is ``fixed_trust``.

    ===================  ==================================================================
    ``z_full``           the tuner's logits of the full view, for classes that were trained on
    ``z_fg``             the same of the foreground view; needs masks
    ``z_exchanged``      the same of the exchanged view, the object on the background of
                         another image; needs PasteForeground in the pipeline
    ``z_main``           the tuner's logits of the full view for new classes, which PC
                         balances; z_full, unless the tuner treats new classes differently
                         (MMRL, Tip-Adapter)
    ``z_clip``           the original CLIP's logits of the full view
    ``z_fdc``            logits of the compensated features: the base branch
    ``z_fdc_fg``         the same of the foreground view
    ``z_fdc_exchanged``  the same of the exchanged view
    ``z_pc``             (1 - b) z_main + b z_clip: the new branch
    ``r``                trust in the foreground view (FRG); needs masks
    ``b``                trust in the original CLIP (BRG)
    ===================  ==================================================================

    Args:
        model: :class:`~fvgpt.foreground.FVGPT`.
        frozen: the batch's features.
    """

    def __init__(self, model: Modules, frozen: FrozenFeatures):
        self.model, self.frozen = model, frozen

    # ------------------------------------------------------------------ features
    @cached_property
    def full(self) -> Features:
        """The tuner's image features of the full view."""
        return self.model.tuner.features_of(self.frozen.full)

    @cached_property
    def foreground(self) -> Features:
        """The tuner's image features of the foreground view."""
        assert self.frozen.foreground is not None, 'the features were extracted without masks'
        return self.model.tuner.features_of(self.frozen.foreground)

    @cached_property
    def exchanged(self) -> Features:
        """The tuner's image features of the exchanged view.

        Raises:
            UserError: there is no such view.
        """
        if self.frozen.exchanged is None:
            raise UserError(NO_EXCHANGED_VIEW)
        return self.model.tuner.features_of(self.frozen.exchanged)

    @cached_property
    def text(self) -> Features:
        """The tuner's text features."""
        return self.model.tuner.cached_text()

    @cached_property
    def area(self) -> Tensor:
        """A(m) (B,), the foreground share of the image."""
        assert self.frozen.area is not None, 'the features were extracted without masks'
        return self.frozen.area

    # ------------------------------------------------------------------ frozen models
    def z_tuner(self, branch: str) -> Tensor:
        """The tuner's logits (B, C) of the full view by its rule for a branch."""
        return self.model.tuner.logits(self.full, self.text, branch)

    @cached_property
    def z_full(self) -> Tensor:
        """See the table."""
        return self.z_tuner(Branch.BASE)

    @cached_property
    def z_main(self) -> Tensor:
        """See the table."""
        return self.z_tuner(Branch.NEW)

    @cached_property
    def z_fg(self) -> Tensor:
        """See the table."""
        return self.model.tuner.logits(self.foreground, self.text, Branch.BASE)

    @cached_property
    def z_exchanged(self) -> Tensor:
        """See the table."""
        return self.model.tuner.logits(self.exchanged, self.text, Branch.BASE)

    @cached_property
    def z_clip(self) -> Tensor:
        """See the table."""
        assert self.frozen.full.clip is not None, "the original CLIP's features were not extracted"
        prior = self.model.prior
        return prior.logits(dict(feature=self.frozen.full.clip), prior.cached_text())

    # ------------------------------------------------------------------ the base branch
    @cached_property
    def residuals(self) -> Tuple[Residual, Residual]:
        """What the adapters of FDC add to the image features (B, D) and text features (C, D)."""
        assert self.model.compensation is not None, 'FDC is switched off'
        return self.model.compensation.residuals(self.full['feature'], self.text['feature'])

    @cached_property
    def z_fdc(self) -> Tensor:
        """See the table."""
        if self.model.compensation is None:
            return self.z_full
        return self._compensated(self.residuals[0], lambda: self.z_full)

    @cached_property
    def z_fdc_fg(self) -> Tensor:
        """See the table."""
        return self._compensated(self._residual_of(self.foreground), lambda: self.z_fg)

    @cached_property
    def z_fdc_exchanged(self) -> Tensor:
        """See the table."""
        return self._compensated(self._residual_of(self.exchanged), lambda: self.z_exchanged)

    def _residual_of(self, view: Features) -> Residual:
        """What the image adapter adds to the features of a view."""
        assert self.model.compensation is not None, 'FDC is switched off'
        return self.model.compensation.image_residual(view['feature'])

    def _compensated(self, image: Residual, z_tuner: Callable[[], Tensor]) -> Tensor:
        """z_FDC of a view; the tuner's logits of it are computed only if z_FDC adds to them."""
        assert self.model.compensation is not None, 'FDC is switched off'
        z = z_tuner() if self.model.compensation.reads_tuner_logits else None
        return self.model.compensation.logits(image, self.residuals[1], z)

    @cached_property
    def foreground_trust(self) -> ForegroundTrust:
        """r with its logit, and for which images the mask is usable."""
        assert self.model.reliability_gate is not None, 'FRG is switched off'
        return self.model.reliability_gate(self.z_full, self.z_fg, self.area)

    @cached_property
    def r(self) -> Tensor:
        """See the table."""
        if self.model.reliability_gate is None:
            return torch.full_like(self.area, self.model.fixed_trust)
        return self.foreground_trust.r

    # ------------------------------------------------------------------ the new branch
    @cached_property
    def calibrated(self) -> Calibrated:
        """z_PC and b."""
        assert self.model.calibration is not None, 'PC is switched off'
        return self.model.calibration(self.z_main, self.z_clip)

    @cached_property
    def z_pc(self) -> Tensor:
        """See the table."""
        if self.model.calibration is not None:
            return self.calibrated.z_pc
        if self.model.compensation is None:
            return self.z_main
        return self._compensated(self.residuals[0], lambda: self.z_main)

    @cached_property
    def b(self) -> Tensor:
        """See the table."""
        return self.calibrated.b

    # ------------------------------------------------------------------ predictions
    def z_fvgpt(self, branch: str) -> Tensor:
        """FVG-PT's logits (B, C): z_FDC, z_PC or, in the open world, both joined."""
        if branch == Branch.BASE:
            return self.z_fdc
        if branch == Branch.NEW:
            return self.z_pc
        trained = self.model.trained_columns(self.text['feature'].device) >= 0
        return join_branches(self.z_fdc, self.z_pc, trained)

    def by_source(self, branch: str, compare: bool) -> Dict[str, Tensor]:
        """Logits (B, C) of FVG-PT, with ``compare`` also of zero-shot CLIP and the tuner."""
        logits: Dict[str, Tensor] = {}
        if compare:
            logits[Source.ZERO_SHOT] = self.z_clip
            logits[Source.TUNER] = self.z_tuner(branch)
        logits[Source.FVGPT] = self.z_fvgpt(branch)
        return logits
