"""The foreground shift: how much a prediction changes if the background is removed."""

from typing import Any, Dict, List, Sequence, Tuple

import torch
from mmengine.evaluator import BaseMetric
from torch import Tensor

from ..io.errors import UserError
from ..losses import tempered_kl
from ..registry import METRICS
from .predictions import column_name, scores_by_source

_FULL = (None, 'full')  # views that show the full image


def foreground_shift(z_full: Tensor, z_fg: Tensor, temperature: float) -> Tensor:
    """D_fg = KL(p_full || p_fg) with p = softmax(z / tau) (paper, Fig. 5).

    Args:
        z_full: (B, C), logits of the full view.
        z_fg: (B, C), logits of the foreground view.
        temperature: tau.

    Returns:
        (B,), in nats. Rounding errors below 0 are set to 0.
    """
    return tempered_kl(z_full, z_fg, temperature).clamp(min=0)


@METRICS.register_module()
class ForegroundShift(BaseMetric):
    """D_fg of each source: the mean of :func:`foreground_shift` over the images of a test, in nats.

    It compares the predictions of two tests of one evaluation: of the full images, which comes
    first, and of the same images in another view (metainfo ``view``, see
    :data:`fvgpt.datasets.views.VIEWS`). The key is ``<source>/<column of the view>_shift``, such as
    ``tuner/base_foreground_shift``::

        test_cfg = dict(tests=[dict(subset='base'), dict(subset='base', view='foreground')])
        test_evaluator = [dict(type='SubsetAccuracy'), dict(type='ForegroundShift')]

    Logits are the logarithms of the predicted probabilities, which differ from the model's by a
    constant per image. Probabilities that are 0 in float32 count as its smallest normal number,
    about e^-87.

    Args:
        views: the views to compare with the full image.
        temperature: tau.
        collect_device, others: see :class:`~fvgpt.evaluation.predictions.PredictedClasses`.

    Raises:
        UserError: an image of the view was not in a test of full images with the same classes and
            branch, or the samples have no ``img_path``.
    """

    default_prefix = ''  # the keys contain the source already

    def __init__(
        self,
        views: Sequence[str] = ('foreground',),
        temperature: float = 2.0,
        collect_device: str = 'gpu',
        **kwargs,
    ):
        super().__init__(collect_device, **kwargs)
        self.views, self.temperature = tuple(views), temperature
        self._full: Dict[Tuple[Any, ...], Dict[str, Dict[str, Tensor]]] = {}

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Store the logits of each sample, unless its view is not asked for."""
        asked = (self.dataset_meta or {}).get('view') in (*_FULL, *self.views)
        for sample in data_samples:
            if not asked:
                self.results.append({})
                continue
            if 'img_path' not in sample:
                raise UserError(
                    'ForegroundShift compares two views of an image by its img_path, which the '
                    'samples do not have: pack it (meta_keys of PackInputs)'
                )
            tiny = torch.finfo(torch.float32).tiny
            z = {
                s: p.float().cpu().clamp(min=tiny).log()
                for s, p in scores_by_source(sample).items()
            }
            self.results.append(dict(image=sample['img_path'], z=z))

    def compute_metrics(self, results: List[dict]) -> Dict[str, float]:
        """Return ``<source>/<column>_shift`` for a view; of full images, remember the logits."""
        meta = self.dataset_meta or {}
        key, view = (tuple(meta.get('classes', ())), meta.get('branch')), meta.get('view')
        logits = {result['image']: result['z'] for result in results if result}
        known = self._full.setdefault(key, {})
        if view in _FULL:
            known.update(logits)
        if view not in self.views:
            return {}
        missing = [image for image in logits if image not in known]
        if missing:
            raise UserError(
                f'ForegroundShift has no prediction of the full image of {len(missing)} images, '
                f'the first is {missing[0]}: a test without `view`, of the same subset and branch, '
                f'must come before that with view={view!r}'
            )
        return {
            f'{source}/{column_name(meta)}_shift': float(
                foreground_shift(
                    torch.stack([known[image][source] for image in logits]),
                    torch.stack([z[source] for z in logits.values()]),
                    self.temperature,
                ).mean()
            )
            for source in next(iter(logits.values()))
        }
