"""Top-1 accuracy of each source of predictions on one class subset."""

from typing import Dict, List

import torch

from ..datasets.class_subsets import subset_labels
from ..names import Subset
from ..registry import METRICS
from .outcomes import Outcome
from .predictions import PredictedClasses, column_name, correct_by_source, percent


@METRICS.register_module()
class SubsetAccuracy(PredictedClasses):
    """Top-1 accuracy in percent, as ``<source>/<column>``.

    Sources are the ``<source>_score`` fields of the predictions (``tuner``, ``fvgpt``,
    ``zero_shot``), or ``pred`` for a classifier without named sources.

    Keys of the data set's metainfo:
        ``column``: name of the column; default: ``subset``, or ``all``, and the ``view``, see
        :func:`~fvgpt.evaluation.predictions.column_name`.

        ``halves``: if true, of a data set with all its classes, ``<column>_base`` and
        ``<column>_new`` are the accuracies on the images of the base and of the new classes, where
        predictions are among all classes (the open-world setting).

        ``superclasses``: superclass of each class, -1 for none. Labels are then superclasses, and a
        prediction counts as the superclass of its class (ImageNet-9).

    ``outcomes`` (column -> :class:`~fvgpt.evaluation.outcomes.Outcome`) tells which images were
    right in the last test, on the main process; it is empty if the samples have no ``img_path``.

    Args: see :class:`~fvgpt.evaluation.predictions.PredictedClasses`.
    """

    def __init__(self, collect_device: str = 'gpu', **kwargs):
        super().__init__(collect_device, **kwargs)
        self.outcomes: Dict[str, Outcome] = {}

    def compute_metrics(self, results: List[dict]) -> Dict[str, float]:
        """Return ``<source>/<column>`` -> accuracy in percent."""
        meta = self.dataset_meta or {}
        labels = torch.tensor([result['label'] for result in results])
        column = column_name(meta)
        groups = {column: torch.ones_like(labels, dtype=torch.bool)}
        if meta.get('halves'):
            base_labels = subset_labels(range(len(meta['classes'])), Subset.BASE)
            is_base = torch.isin(labels, torch.tensor(base_labels))
            groups[f'{column}_base'], groups[f'{column}_new'] = is_base, ~is_base
        metrics, self.outcomes = {}, {}
        correct = correct_by_source(results, meta.get('superclasses'))
        for column, chosen in groups.items():
            if chosen.any():
                right = {source: of[chosen] for source, of in correct.items()}
                metrics.update({f'{s}/{column}': percent(of) for s, of in right.items()})
                images = [r.get('img_path') for r, one in zip(results, chosen.tolist()) if one]
                if None not in images:
                    by_source = {source: of.numpy() for source, of in right.items()}
                    self.outcomes[column] = Outcome([str(image) for image in images], by_source)
        return metrics
