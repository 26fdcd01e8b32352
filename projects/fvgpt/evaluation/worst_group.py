"""Accuracy of the worst group of images, such as the combinations of class and background."""

from typing import Dict, List, Sequence

import torch
from mmengine.logging import print_log

from ..io.errors import UserError
from ..registry import METRICS
from .predictions import PredictedClasses, column_name, correct_by_source, percent


@METRICS.register_module()
class WorstGroupAccuracy(PredictedClasses):
    """Worst-group accuracy (Sagawa et al., ICLR 2020), in percent, of each source.

    Keys are ``<source>/<column>_worst``, the accuracy of the group of images in which it is lowest,
    and ``<source>/<column>_groups``, the mean over the groups. Columns and sources are those of
    :class:`~fvgpt.evaluation.SubsetAccuracy`, which may be in the same evaluator.

    What a data set provides:
        ``group``: a whole number per image, in its ``data_info`` dict and, packed by
        ``PackInputs(algorithm_keys=('group',))`` or in ``meta_keys``, in its samples. For
        Waterbirds it is the combination of class and background.

        ``groups`` in its metainfo (optional): the names of the groups 0, 1, ..., for the log.

    Args: see :class:`~fvgpt.evaluation.predictions.PredictedClasses`.

    Raises:
        UserError: the samples have no group.
    """

    fields: Sequence[str] = ('group',)

    def compute_metrics(self, results: List[dict]) -> Dict[str, float]:
        """Return ``<source>/<column>_worst`` and ``<source>/<column>_groups``."""
        if any('group' not in result for result in results):
            raise UserError(
                'WorstGroupAccuracy needs a number `group` in every sample: the data set gives it '
                "for each image, and PackInputs(algorithm_keys=('group',)) packs it"
            )
        meta = self.dataset_meta or {}
        column, names = column_name(meta), meta.get('groups')
        groups = torch.tensor([int(result['group']) for result in results])
        metrics = {}
        for source, correct in correct_by_source(results).items():
            of_group = {int(group): percent(correct[groups == group]) for group in groups.unique()}
            worst = min(of_group, key=of_group.__getitem__)
            metrics[f'{source}/{column}_worst'] = of_group[worst]
            metrics[f'{source}/{column}_groups'] = sum(of_group.values()) / len(of_group)
            shown = ', '.join(
                f'{names[group] if names else group} {accuracy:.2f}'
                for group, accuracy in of_group.items()
            )
            print_log(f'{source}, {column}, accuracy of each group: {shown}', 'current')
        return metrics
