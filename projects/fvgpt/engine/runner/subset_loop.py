"""One test run over several class subsets."""

from pathlib import Path
from typing import Dict, List, Optional, Sequence, Union

from mmengine.dist import is_main_process
from mmengine.runner import Runner, TestLoop
from torch.utils.data import DataLoader

from ...datasets.wrapped import innermost
from ...evaluation.outcomes import OUTCOMES, Outcome, write_outcomes
from ...evaluation.results import differences, harmonic_means
from ...io.errors import UserError
from ...registry import LOOPS
from .config_parts import dataset_of_test


@LOOPS.register_module()
class SubsetTestLoop(TestLoop):
    """MMEngine's TestLoop, once per entry of ``tests``, with one result.

    Metrics of all tests are merged; if one exists for ``base`` and for ``new``, their harmonic
    mean is added. A recipe of two tests::

        test_dataloader = dict(batch_size=100, sampler=..., dataset=dict(type=..., split='test'))
        test_cfg = dict(type='SubsetTestLoop', tests=[dict(subset='base'), dict(subset='new')])

    Args:
        runner, evaluator, fp16: see MMEngine's TestLoop.
        dataloader: one data loader or its config.
        tests: one entry per test: the keys in which its data set differs from
            ``dataloader.dataset``, such as ``subset``, ``split`` or ``metainfo``. An entry with a
            ``type`` is a complete data set config. None: one test, of ``dataloader.dataset``.
        differences: name -> two columns whose difference is a further metric, see
            :func:`~fvgpt.evaluation.differences`.

    Raises:
        UserError: ``dataloader`` is a list, or ``tests`` are given with an already built loader, or
            an entry of ``differences`` is not a pair.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Union[DataLoader, dict],
        evaluator,
        fp16: bool = False,
        tests: Optional[Sequence[dict]] = None,
        differences: Optional[Dict[str, Sequence[str]]] = None,
    ):
        self.differences = dict(differences or {})
        for name, pair in self.differences.items():
            if isinstance(pair, str) or len(pair) != 2:
                raise UserError(
                    f'test_cfg.differences.{name} must be two names of columns, not {pair!r}'
                )
        self.dataloaders = self._loaders(runner, dataloader, tests)
        super().__init__(runner, self.dataloaders[0], evaluator, fp16)

    @staticmethod
    def _loaders(
        runner: Runner, dataloader: Union[DataLoader, dict], tests: Optional[Sequence[dict]]
    ) -> List[DataLoader]:
        if isinstance(dataloader, (list, tuple)):
            raise UserError(
                'test_dataloader is a list; write one loader, and what its tests differ in as '
                "test_cfg=dict(type='SubsetTestLoop', tests=[dict(subset='base'), "
                "dict(subset='new')])"
            )
        if not isinstance(dataloader, dict):
            if tests:
                raise UserError('test_cfg.tests needs test_dataloader as a config, not as a loader')
            return [dataloader]
        diff_rank_seed = runner._randomness_cfg.get('diff_rank_seed', False)
        return [
            runner.build_dataloader(
                dict(dataloader, dataset=dataset_of_test(dataloader['dataset'], test)),
                seed=runner.seed,
                diff_rank_seed=diff_rank_seed,
            )
            for test in tests or [{}]
        ]

    def run(self) -> Dict[str, float]:
        """Run every test, and write which images were right to ``outcomes.npz`` in the work dir.

        See :mod:`fvgpt.evaluation.outcomes`.

        Returns:
            All metrics, with the harmonic means and the differences.
        """
        metrics: Dict[str, float] = {}
        outcomes: Dict[str, Outcome] = {}
        for dataloader in self.dataloaders:
            self.dataloader = dataloader
            dataset = innermost(self.dataloader.dataset)
            meta = dataset.metainfo
            self.evaluator.dataset_meta = self.runner.visualizer.dataset_meta = meta
            metrics.update(super().run())
            for metric in self.evaluator.metrics:
                for column, outcome in getattr(metric, 'outcomes', {}).items():
                    outcomes[column] = outcome.below(getattr(dataset, 'data_root', None))
        if outcomes and is_main_process():
            write_outcomes(Path(self.runner.work_dir) / OUTCOMES, outcomes)
        metrics.update(harmonic_means(metrics))
        metrics.update(differences(metrics, self.differences))
        return metrics
