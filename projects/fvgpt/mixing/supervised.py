"""Foreground distillation for mmpretrain's ImageClassifier, weighted by the trust score r."""

from typing import Dict, List, Optional, Tuple

import torch
from mmpretrain.models import ClsDataPreprocessor, LinearClsHead
from mmpretrain.structures import DataSample
from torch import Tensor

from ..foreground.fvgpt import stack_masks
from ..io.errors import UserError
from ..registry import LOSSES, MODELS


@MODELS.register_module()
class ForegroundViewPreprocessor(ClsDataPreprocessor):
    """mmpretrain's preprocessor; in training it appends the foreground views x * m to the images.

    A training batch is (2B, 3, H, W): B normalised images, then their B foreground views. There are
    B data samples, which need ``mask`` (PackForegroundInputs).

    Args:
        batch_augments: not supported, since mixed images have no mask.
        kwargs: see mmpretrain's ClsDataPreprocessor.

    Raises:
        UserError: ``batch_augments`` is set.
    """

    def __init__(self, batch_augments: Optional[dict] = None, **kwargs):
        if batch_augments:
            raise UserError(
                'batch_augments mixes images, and mixed images have no foreground mask: leave it '
                'out'
            )
        super().__init__(**kwargs)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalised images (B, 3, H, W); in training (2B, 3, H, W) with the foreground views.

        Raises:
            UserError: in training, a sample has no mask, or one of another size than its image.
        """
        data = super().forward(data, training)
        if training:
            images = data['inputs']
            data['inputs'] = torch.cat([images, images * stack_masks(data['data_samples'], images)])
        return data


@MODELS.register_module()
class ForegroundDistillationHead(LinearClsHead):
    """Linear head with L = CE(z_full, y) + L_FRG + lambda_d r KL(sg(p_fg) || p_full).

    L is a mean over the batch; sg stops the gradient. Differences from the paper:

    - There a frozen tuned CLIP reads both views and teaches adapters. Here the trained network is
      its own teacher, so the term (1 - r) KL(p_full || .) is zero, and the foreground view is only
      a target.
    - The inputs of the gate are predictions of a network that is being trained.
    - Without text features and a prior, there is no Prior Calibration.
    - Batch normalisation reads both views in training, but full images only in tests.
    - The default weights of the losses are the paper's, which were chosen for CLIP.

    Args:
        num_classes, in_channels, kwargs: see mmpretrain's LinearClsHead.
        reliability_gate: config of the gate r.
        gate_loss, distillation_loss: configs of L_FRG and of the KL term with lambda_d.
        loss: config of CE; its scope is named, so that the head can be built in any default scope.
        init_cfg: see LinearClsHead; by default it covers the linear layer only.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        reliability_gate: dict = dict(type='ForegroundReliabilityGate'),
        gate_loss: dict = dict(type='ReliabilityLoss'),
        distillation_loss: dict = dict(type='ForegroundDistillationLoss'),
        loss: dict = dict(type='mmpretrain.CrossEntropyLoss'),
        init_cfg: Optional[dict] = dict(type='Normal', std=0.01, override=dict(name='fc')),
        **kwargs,
    ):
        super().__init__(num_classes, in_channels, loss=loss, init_cfg=init_cfg, **kwargs)
        self.reliability_gate = MODELS.build(reliability_gate)
        self.gate_loss = LOSSES.build(gate_loss)
        self.distillation_loss = LOSSES.build(distillation_loss)

    def loss(
        self, feats: Tuple[Tensor, ...], data_samples: List[DataSample], **kwargs
    ) -> Dict[str, Tensor]:
        """Terms ``loss``, ``loss_gate`` and ``loss_distill``; ``trust_foreground``, the mean of r.

        Args:
            feats: of several layers; the last are (2B, D), of B images, then of their foreground
                views.
            data_samples: B, with ``gt_label`` and ``mask``.

        Raises:
            UserError: there are not twice as many features as data samples.
        """
        if len(feats[-1]) != 2 * len(data_samples):
            raise UserError(
                f'{len(feats[-1])} features for {len(data_samples)} samples, but there must be two '
                'per sample, one per view: ForegroundDistillationHead needs '
                "data_preprocessor=dict(type='ForegroundViewPreprocessor')"
            )
        z_full, z_fg = self(feats).chunk(2)
        z_fg = z_fg.detach()
        labels = torch.cat([sample.gt_label for sample in data_samples])
        area = torch.stack([sample.mask.float().mean() for sample in data_samples]).to(z_full)
        terms = self._get_loss(z_full, data_samples, **kwargs)
        trust = self.reliability_gate(z_full, z_fg, area)
        terms['loss_gate'] = self.gate_loss(trust.logit, z_full, z_fg, labels, trust.valid)
        terms['loss_distill'] = self.distillation_loss(z_full, z_full.detach(), z_fg, trust.r)
        return dict(terms, trust_foreground=trust.r.detach().mean())
