"""Test-time augmentation for classifiers that give several predictions of an image."""

from typing import Sequence, Union

import torch
from mmpretrain.models import AverageClsScoreTTA
from mmpretrain.structures import DataSample

from ..registry import MODELS


@MODELS.register_module()
class AverageScoresTTA(AverageClsScoreTTA):
    """mmpretrain's, which averages every ``<source>_score`` (C,) over the views of an image, not ``pred_score`` alone.

    With mmpretrain's own the scores that SubsetAccuracy reads would be those of the first view.

    Args:
        module: the classifier. MMEngine's PrepareTTAHook wraps before each of SubsetTestLoop's tests, so one that is wrapped
            already is not wrapped again.
        others: see mmpretrain's AverageClsScoreTTA.
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
