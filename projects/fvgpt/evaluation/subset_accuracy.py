"""Top-1 accuracy of each source of predictions on the class subset at hand."""

from typing import Dict, List, Sequence

import torch
from mmengine.evaluator import BaseMetric
from mmpretrain.evaluation import Accuracy

from ..datasets.few_shot import subset_labels
from ..registry import METRICS

_SUFFIX = '_score'
_OWN = ('gt', 'pred')  # ``pred`` repeats one of the named sources


@METRICS.register_module()
class SubsetAccuracy(BaseMetric):
    """mmpretrain's top-1 accuracy, as ``<source>/<column>`` in percent.

    Sources are the ``<source>_score`` fields of the predictions (``tuner``, ``fvgpt``, ``zero_shot``), or ``pred`` for
    a classifier that names none. The column is ``column`` of the data set's metainfo, else its ``subset``. With ``halves``
    in the metainfo (of a data set with all its classes), ``<column>_base`` and ``<column>_new`` give the accuracy on the
    images of either half of the classes, each told apart from all classes: the open world.

    Of several processes each keeps labels, not scores, and they come together through the process group; MMEngine's loops drop
    what the sampler padded the last batch with, so every image counts once.

    Args:
        others: see :class:`mmengine.evaluator.BaseMetric`.
    """

    default_prefix = ''  # the keys say where they come from

    def __init__(
        self, collect_device: str = 'gpu', **kwargs
    ):  # 'cpu' needs a folder that all nodes can write
        super().__init__(collect_device, **kwargs)

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Keep the label of each sample, and what each source predicts."""
        for sample in data_samples:
            sources = {key[: -len(_SUFFIX)]: sample[key] for key in sample if key.endswith(_SUFFIX)}
            named = {source: score for source, score in sources.items() if source not in _OWN}
            scores = named or dict(pred=sources['pred'])
            self.results.append(
                dict(
                    label=int(sample['gt_label']),
                    predicted={k: _best(v) for k, v in scores.items()},
                )
            )

    def compute_metrics(self, results: List[dict]) -> Dict[str, float]:
        """``<source>/<column>``: accuracy in percent."""
        meta = self.dataset_meta or {}
        labels = torch.tensor([result['label'] for result in results])
        column = meta.get('column', meta.get('subset', 'all'))
        groups = {column: torch.ones_like(labels, dtype=torch.bool)}
        if meta.get('halves'):
            is_base = torch.isin(
                labels, torch.tensor(subset_labels(range(len(meta['classes'])), 'base'))
            )
            groups.update({f'{column}_base': is_base, f'{column}_new': ~is_base})
        metrics = {}
        for source in results[0]['predicted']:
            predicted = torch.tensor([result['predicted'][source] for result in results])
            for column, chosen in groups.items():
                if chosen.any():
                    metrics[f'{source}/{column}'] = float(
                        Accuracy.calculate(predicted[chosen], labels[chosen])
                    )
        return metrics


def _best(scores: torch.Tensor) -> int:
    """The label with the largest of the scores (C,); -1, which is wrong, where that is not a number."""
    score, label = scores.topk(1)
    return int(label) if score > 0 else -1
