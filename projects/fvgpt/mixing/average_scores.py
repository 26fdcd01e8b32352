"""Test-time augmentation for classifiers with several predictions per image."""

from typing import Sequence, Union

import torch
from mmpretrain.models import AverageClsScoreTTA
from mmpretrain.structures import DataSample

from ..registry import MODELS


@MODELS.register_module()
class AverageScoresTTA(AverageClsScoreTTA):
    """Test-time augmentation that averages every ``<source>_score`` (C,) over the views.

    mmpretrain's AverageClsScoreTTA averages ``pred_score`` only; the scores that SubsetAccuracy
    reads would be those of the first view.

    Args:
        module: the classifier. A module that is wrapped already is not wrapped again: MMEngine's
            PrepareTTAHook wraps before each test of SubsetTestLoop.
        kwargs: see mmpretrain's AverageClsScoreTTA.
    """

    def __init__(self, module: Union[dict, torch.nn.Module], **kwargs):
        super().__init__(
            module.module if isinstance(module, AverageScoresTTA) else module, **kwargs
        )

    def _merge_single_sample(self, data_samples: Sequence[DataSample]) -> DataSample:
        merged = super()._merge_single_sample(data_samples)
        for key, _ in merged.items():
            if key.endswith('_score'):
                mean = torch.stack([sample.get(key) for sample in data_samples]).mean(0)
                merged.set_field(mean, key, dtype=torch.Tensor)
        return merged.set_pred_label(merged.pred_score.argmax(-1, keepdim=True))
