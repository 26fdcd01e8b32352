"""Top-1 accuracy of each source of predictions on one class subset."""

from typing import Dict, List, Sequence

import torch
from mmengine.evaluator import BaseMetric
from mmpretrain.evaluation import Accuracy

from ..datasets.class_subsets import subset_labels
from ..names import Subset
from ..registry import METRICS

_SUFFIX = '_score'
_NO_SOURCES = ('gt', 'pred')  # ``pred`` is a copy of one of the named sources


@METRICS.register_module()
class SubsetAccuracy(BaseMetric):
    """mmpretrain's top-1 accuracy in percent, as ``<source>/<column>``.

    Sources are the ``<source>_score`` fields of the predictions (``tuner``, ``fvgpt``,
    ``zero_shot``), or ``pred`` for a classifier without named sources.

    Keys of the data set's metainfo:
        ``column``: name of the column; default: ``subset``, or ``all``.

        ``halves``: if true, of a data set with all its classes, ``<column>_base`` and
        ``<column>_new`` are the accuracies on the images of the base and of the new classes, where
        predictions are among all classes (the open-world setting).

    Each process stores labels, not scores, and they are gathered through the process group.
    MMEngine's loops drop the samples that the sampler added to fill the last batch, so every image
    counts once.

    Args:
        collect_device: ``gpu`` gathers through the process group; ``cpu`` needs a folder that all
            nodes can write to.
        others: see :class:`mmengine.evaluator.BaseMetric`.
    """

    default_prefix = ''  # the keys contain the source already

    def __init__(self, collect_device: str = 'gpu', **kwargs):
        super().__init__(collect_device, **kwargs)

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Store the label of each sample and the class that each source predicts."""
        for sample in data_samples:
            scores = {key[: -len(_SUFFIX)]: sample[key] for key in sample if key.endswith(_SUFFIX)}
            named = {source: score for source, score in scores.items() if source not in _NO_SOURCES}
            predicted = {
                source: _predicted_class(score)
                for source, score in (named or dict(pred=scores['pred'])).items()
            }
            self.results.append(dict(label=int(sample['gt_label']), predicted=predicted))

    def compute_metrics(self, results: List[dict]) -> Dict[str, float]:
        """Return ``<source>/<column>`` -> accuracy in percent."""
        meta = self.dataset_meta or {}
        labels = torch.tensor([result['label'] for result in results])
        column = meta.get('column', meta.get('subset', Subset.ALL))
        groups = {column: torch.ones_like(labels, dtype=torch.bool)}
        if meta.get('halves'):
            base_labels = subset_labels(range(len(meta['classes'])), Subset.BASE)
            is_base = torch.isin(labels, torch.tensor(base_labels))
            groups[f'{column}_base'], groups[f'{column}_new'] = is_base, ~is_base
        metrics = {}
        for source in results[0]['predicted']:
            predicted = torch.tensor([result['predicted'][source] for result in results])
            for column, chosen in groups.items():
                if chosen.any():
                    accuracy = Accuracy.calculate(predicted[chosen], labels[chosen])
                    metrics[f'{source}/{column}'] = float(accuracy)
        return metrics


def _predicted_class(scores: torch.Tensor) -> int:
    """Class with the largest probability (C,); -1, which is always wrong, if it is not a number."""
    score, label = scores.topk(1)
    return int(label) if score > 0 else -1
