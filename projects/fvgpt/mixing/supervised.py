"""The paper's idea on a plain network: mmpretrain's ImageClassifier, taught by the foreground where that can be trusted."""

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
    """mmpretrain's; in training the foreground views x * m follow the normalised images: (2B, 3, H, W).

    The data samples, which need ``mask`` (PackForegroundInputs), stay B.

    Args:
        others: see mmpretrain's ClsDataPreprocessor. ``batch_augments`` is refused: a mixture of images has no mask.

    Raises:
        ValueError: ``batch_augments`` is set, or a sample came without a mask of its image's size.
    """

    def __init__(self, batch_augments: Optional[dict] = None, **kwargs):
        if batch_augments:
            raise UserError(
                'batch_augments mixes images, and what is mixed has no foreground mask: leave it out'
            )
        super().__init__(**kwargs)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalised images, in training (2B, 3, H, W) with the foreground views behind them.

        Raises:
            ValueError: a sample came without a mask of its image's size.
        """
        data = super().forward(data, training)
        if training:
            images = data['inputs']
            data['inputs'] = torch.cat([images, images * stack_masks(data['data_samples'], images)])
        return data


@MODELS.register_module()
class ForegroundDistillationHead(LinearClsHead):
    """L = CE(z_full, y) + L_FRG + lambda_d r KL(sg(p_fg) || p_full), mean over the batch, on one linear layer.

    sg: no gradient. What differs from the paper: there two views, read by a frozen tuned CLIP, teach adapters; here the
    network that is trained is its own teacher, so the term (1 - r) KL(p_full || .) vanishes, and the foreground pass is a
    target only. The gate sees a network that changes while it learns. There is no text side and no prior, so no Prior
    Calibration. Batch normalisation sees both views, while tests see full images alone. The weights of the losses are the
    paper's by default, which were chosen for CLIP.

    Args:
        reliability_gate: config of the gate r.
        gate_loss, distillation_loss: configs of L_FRG and of the KL with lambda_d.
        loss: config of CE, by its scope, so that the head is built in every other one too.
        init_cfg: as LinearClsHead's, of the linear layer alone.
        num_classes, in_channels and the rest: see mmpretrain's LinearClsHead.
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
        """Loss terms ``loss``, ``loss_gate`` and ``loss_distill``, and ``trust_foreground``, the mean of r.

        Args:
            feats: the last are features (2B, D), first of the images, then of their foreground views.
            data_samples: B, with ``gt_label`` and ``mask``.

        Raises:
            ValueError: the features are not twice as many as the data samples.
        """
        if len(feats[-1]) != 2 * len(data_samples):
            raise UserError(
                f'{len(feats[-1])} features came with {len(data_samples)} samples, not one of either view: '
                "ForegroundDistillationHead needs data_preprocessor=dict(type='ForegroundViewPreprocessor')"
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
