"""What metrics read from predictions: scores by source, predicted classes, names of columns."""

from typing import Dict, List, Mapping, Optional, Sequence

import torch
from mmengine.evaluator import BaseMetric

from ..names import Subset

_SUFFIX = '_score'
_NO_SOURCES = ('gt', 'pred')  # ``pred`` is a copy of one of the named sources


def scores_by_source(sample: Mapping) -> Dict[str, torch.Tensor]:
    """Probabilities (C,) of each source: the ``<source>_score`` fields of a predicted sample.

    Sources are ``tuner``, ``fvgpt`` and ``zero_shot``, or ``pred`` for a classifier without named
    sources.
    """
    scores = {key[: -len(_SUFFIX)]: sample[key] for key in sample if key.endswith(_SUFFIX)}
    named = {source: score for source, score in scores.items() if source not in _NO_SOURCES}
    return named or dict(pred=scores['pred'])


def column_name(meta: Mapping) -> str:
    """Name of a data set's column in ``results.json``, from its metainfo.

    ``column``, or else ``subset`` (default ``all``) followed by the ``view`` of its images, if it
    has one: ``base_exchanged``.
    """
    subset = str(meta.get('subset', Subset.ALL))
    return str(meta.get('column') or '_'.join(filter(None, (subset, meta.get('view')))))


class PredictedClasses(BaseMetric):
    """Base class of metrics of predicted classes; keys are ``<source>/<column>``.

    Each process stores labels, not scores, and they are gathered through the process group.
    MMEngine's loops drop the samples that the sampler added to fill the last batch, so every image
    counts once.

    Args:
        collect_device: ``gpu`` gathers through the process group; ``cpu`` needs a folder that all
            nodes can write to.
        others: see :class:`mmengine.evaluator.BaseMetric`.
    """

    default_prefix = ''  # the keys contain the source already
    fields: Sequence[str] = ()  # further fields of a sample that a sub-class needs

    def __init__(self, collect_device: str = 'gpu', **kwargs):
        super().__init__(collect_device, **kwargs)

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Store of each sample its label, its file and the class that each source predicts."""
        for sample in data_samples:
            predicted = {
                source: _predicted_class(score)
                for source, score in scores_by_source(sample).items()
            }
            stored = {key: sample[key] for key in ('img_path', *self.fields) if key in sample}
            self.results.append(dict(stored, label=int(sample['gt_label']), predicted=predicted))


def correct_by_source(
    results: List[dict], superclasses: Optional[Sequence[int]] = None
) -> Dict[str, torch.Tensor]:
    """Source -> (N,) bool, whether its prediction is right, of the stored samples.

    Args:
        results: the stored samples.
        superclasses: superclass of each class, -1 for none, if the labels are superclasses. A
            prediction then counts as the superclass of its class.
    """
    labels = torch.tensor([result['label'] for result in results])
    correct = {}
    for source in results[0]['predicted']:
        predicted = torch.tensor([result['predicted'][source] for result in results])
        if superclasses is not None:
            known = predicted >= 0
            predicted[known] = torch.tensor(superclasses)[predicted[known]]
        correct[source] = predicted == labels
    return correct


def percent(correct: torch.Tensor) -> float:
    """Share of True in percent."""
    return float(100 * correct.double().mean())


def _predicted_class(scores: torch.Tensor) -> int:
    """Class with the largest probability (C,); -1, which is always wrong, if it is not a number."""
    score, label = scores.topk(1)
    return int(label) if score > 0 else -1
