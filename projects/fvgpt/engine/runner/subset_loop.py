"""One test run over several class subsets."""

from typing import Dict, List, Union

from mmengine.runner import TestLoop

from ...datasets.wrapped import innermost
from ...evaluation.results import harmonic_means
from ...registry import LOOPS


@LOOPS.register_module()
class SubsetTestLoop(TestLoop):
    """MMEngine's TestLoop on each of several data loaders in turn, with one result.

    Metrics of all subsets are merged; where one exists for ``base`` and for ``new``, their harmonic mean is added.

    Args:
        runner, evaluator, fp16: as for TestLoop.
        dataloader: a list of data loaders or their configs, or a single one.
    """

    def __init__(self, runner, dataloader: Union[dict, List[dict]], evaluator, fp16: bool = False):
        configs = dataloader if isinstance(dataloader, (list, tuple)) else [dataloader]
        diff_rank_seed = runner._randomness_cfg.get('diff_rank_seed', False)
        self.dataloaders = [
            runner.build_dataloader(config, seed=runner.seed, diff_rank_seed=diff_rank_seed)
            if isinstance(config, dict)
            else config
            for config in configs
        ]
        super().__init__(runner, self.dataloaders[0], evaluator, fp16)

    def run(self) -> Dict[str, float]:
        """Test on every loader in turn.

        Returns:
            All metrics, with the harmonic means.
        """
        metrics: Dict[str, float] = {}
        for dataloader in self.dataloaders:
            self.dataloader = dataloader
            meta = innermost(self.dataloader.dataset).metainfo
            self.evaluator.dataset_meta = self.runner.visualizer.dataset_meta = meta
            metrics.update(super().run())
        metrics.update(harmonic_means(metrics))
        return metrics
