"""Cross-fitting of Prior Calibration: it learns from tuners that have not seen the image."""

from functools import cached_property
from typing import Callable, List, Optional, Sequence

import numpy as np
import torch
from mmpretrain.structures import DataSample
from torch import Tensor

from ..io.errors import UserError
from ..names import Branch
from ..tuners.base import PromptTuner
from ..tuners.checkpoint import load_tuner
from ..tuners.features import Features, FrozenFeatures, ViewFeatures
from .signals import Modules, Signals


def check_fold_keys(count: Optional[int], checkpoints: Optional[Sequence[str]]) -> None:
    """Check ``calibration_folds`` and ``fold_checkpoints`` of FVGPT.

    Raises:
        UserError: fewer than two folds, or another number of checkpoints.
    """
    if count is not None and count < 2:
        raise UserError(f'calibration_folds must be at least 2, or None, not {count}')
    if checkpoints and len(checkpoints) != (count or 0):
        raise UserError(
            f'fold_checkpoints has {len(checkpoints)} files, but calibration_folds is {count}: '
            'give one file per fold'
        )


class FoldTuners:
    """K frozen tuners, of which tuner k was trained without fold k of the training images.

    A tuner is surer of images that it was trained on than of others. Such images teach the gate of
    PC to trust the tuner more than it should on new images. Here, the logits of each training image
    come from the tuner that has not seen it.

    This is no ``nn.Module``: the tuners are needed in training only, and so are neither in the
    model's checkpoints nor in its optimizer.

    Args:
        tuners: K tuners.
        folds: (N,), fold of each training image, by its position in the training set.
    """

    def __init__(self, tuners: Sequence[PromptTuner], folds: Sequence[int]):
        self.tuners = [tuner.requires_grad_(False).eval() for tuner in tuners]
        self.folds = torch.as_tensor(np.asarray(folds))

    @classmethod
    def load(
        cls, tuner: PromptTuner, checkpoints: Sequence[str], folds: Sequence[int]
    ) -> 'FoldTuners':
        """Load the parameters of the K tuners.

        Args:
            tuner: with their settings; it is not changed, and its frozen CLIP is shared.
            checkpoints: K files.
            folds: see the class.

        Raises:
            MissingFileError, UserError: see :func:`~fvgpt.tuners.checkpoint.load_tuner`.
        """
        tuners = []
        for fold, path in enumerate(checkpoints):
            other = tuner.copy_for(int((np.asarray(folds) != fold).sum()))
            load_tuner(other, path)
            tuners.append(other)
        return cls(tuners, folds)

    def set_class_names(self, class_names: Sequence[str], dataset_name: Optional[str]) -> None:
        """Set the classes of all tuners; those that have them already are left as they are."""
        for tuner in self.tuners:
            tuner.set_class_names(class_names, dataset_name=dataset_name)

    @property
    def image_tower_is_clip(self) -> bool:
        """Whether the tuners use the original CLIP's image tower."""
        return self.tuners[0].image_tower_is_clip

    def cache_key(self) -> str:
        """What the image features of :meth:`extract_view` depend on."""
        if self.image_tower_is_clip:
            return ''
        keys = [tuner.cache_key(training=False) for tuner in self.tuners]
        return f' {self.folds.tolist()} {" ".join(map(str, keys))}'

    def of(self, data_samples: List[DataSample]) -> Tensor:
        """Folds (B,) of the images of a training batch.

        Raises:
            UserError: a data sample has no ``sample_idx``, or one that is not of the training set.
        """
        positions = [sample.get('sample_idx') for sample in data_samples]
        for position in positions:
            if position is None or not 0 <= position < len(self.folds):
                raise UserError(
                    'model.calibration_folds needs the position of each image in the training set '
                    f'of {len(self.folds)} images, but sample_idx of a data sample is {position}: '
                    "it must be among the meta_keys of the pipeline's PackForegroundInputs"
                )
        return self.folds[positions]

    def extract_view(self, images: Tensor, folds: Tensor) -> Optional[ViewFeatures]:
        """What the tuners' own image towers give for normalised images (B, 3, H, W).

        Each image passes through the tower of the tuner that has not seen it, so all tuners
        together see the batch once. None if they use the original CLIP's tower.
        """
        if self.image_tower_is_clip:
            return None
        tuned = self._unseen(
            folds.to(images.device),
            lambda tuner, rows: tuner.extract_view(images[rows], original=False).tuned,
        )
        return ViewFeatures(tuned=tuned)

    def logits(self, frozen: FrozenFeatures, folds: Tensor) -> Tensor:
        """z_main (B, C) of the batch's features, by the tuners' rule for new classes."""
        view = frozen.full if self.image_tower_is_clip else frozen.held_out
        assert view is not None, 'the features were extracted without folds'

        def z_main(tuner: PromptTuner, rows: Tensor) -> Features:
            image = tuner.features_of(view.rows(rows))
            return dict(z_main=tuner.logits(image, tuner.cached_text(), Branch.NEW))

        return self._unseen(folds.to(self.tuners[0].clip.device), z_main)['z_main']

    def _unseen(
        self, folds: Tensor, compute: Callable[[PromptTuner, Tensor], Features]
    ) -> Features:
        """Named tensors (B, ...), whose rows are computed by the tuner that has not seen the image.

        Args:
            folds: (B,).
            compute: gives the named tensors (b, ...) of a tuner for b rows of the batch.
        """
        parts = {
            fold: compute(self.tuners[fold], (folds == fold).nonzero()[:, 0])
            for fold in folds.unique().tolist()
        }
        # The parts are in the order of the folds, and rows of a fold in that of the batch
        order = folds.argsort(stable=True).argsort()
        first = next(iter(parts.values()))
        return {name: torch.cat([part[name] for part in parts.values()])[order] for name in first}


class CrossFittedSignals(Signals):
    """Signals of a training batch whose z_main, and with it b and z_PC, are cross-fitted.

    Args:
        model, frozen: see :class:`~fvgpt.foreground.signals.Signals`.
        tuners: of the folds.
        folds: (B,), of the batch's images.
    """

    def __init__(self, model: Modules, frozen: FrozenFeatures, tuners: FoldTuners, folds: Tensor):
        super().__init__(model, frozen)
        self.tuners, self.folds = tuners, folds

    @cached_property
    def z_main(self) -> Tensor:
        """Logits (B, C) of each image by the tuner that has not seen it."""
        return self.tuners.logits(self.frozen, self.folds)
