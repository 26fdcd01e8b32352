"""Top-1 accuracy of each source of predictions on the class subset at hand."""
from typing import Dict, List, Sequence

import torch
from mmengine.evaluator import BaseMetric
from mmpretrain.evaluation import Accuracy

from ..registry import METRICS

_SUFFIX = '_score'
_OWN = ('gt', 'pred')  # ``pred`` repeats one of the named sources


@METRICS.register_module()
class SubsetAccuracy(BaseMetric):
    """mmpretrain's top-1 accuracy, as ``<source>/<subset>`` in percent.

    Sources are the ``<source>_score`` fields of the predictions (``tuner``, ``fvgpt``, ``zero_shot``), or ``pred`` for
    a classifier that names none; the subset comes from the data set's metainfo.
    """

    default_prefix = ''  # the keys say where they come from

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            sources = {key[:-len(_SUFFIX)]: sample[key] for key in sample if key.endswith(_SUFFIX)}
            named = {source: score for source, score in sources.items() if source not in _OWN}
            scores = named or dict(pred=sources['pred'])
            self.results.append(dict(label=sample['gt_label'].cpu(), scores={k: v.cpu() for k, v in scores.items()}))

    def compute_metrics(self, results: List[dict]) -> Dict[str, float]:
        subset = (self.dataset_meta or {}).get('subset', 'all')
        labels = torch.cat([result['label'] for result in results])
        metrics = {}
        for source in results[0]['scores']:
            scores = torch.stack([result['scores'][source] for result in results])
            metrics[f'{source}/{subset}'] = float(Accuracy.calculate(scores, labels, topk=(1, ))[0][0])
        return metrics
