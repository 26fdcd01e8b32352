"""The embedded image set as a data set: written to disk on first use, then read like any other."""

from pathlib import Path
from typing import Any, Dict

from mmengine.dist import barrier, is_main_process

from ..quickstart.world import write_world
from ..registry import DATASETS
from .split_file import SplitFileDataset


@DATASETS.register_module()
class QuickstartWorld(SplitFileDataset):
    """The task of :mod:`fvgpt.quickstart.world`: 20 base and 20 new classes, drawn below ``data_root``.

    Args:
        data_root: folder to write to; created when missing.
        background_correlation: share of training images on their class's own background.
        mask_quality: ``exact``, ``eroded``, ``shifted``, ``wrong`` or ``missing`` training masks; those of the test images,
            which only an analysis reads, are exact or missing.
        train_per_class, test_per_class: number of images.
        others: see :class:`~fvgpt.datasets.few_shot.FewShotDataset`.
    """

    def __init__(
        self,
        data_root: str,
        background_correlation: float = 0.7,
        mask_quality: str = 'exact',
        train_per_class: int = 16,
        test_per_class: int = 50,
        **kwargs,
    ):
        self.world: Dict[str, Any] = dict(
            background_correlation=background_correlation,
            mask_quality=mask_quality,
            train_per_class=train_per_class,
            test_per_class=test_per_class,
        )
        super().__init__(
            data_root=data_root,
            split_file='quickstart_world/split_quickstart_world.json',
            img_dir='quickstart_world/images',
            **kwargs,
        )

    def check_files(self, root: Path) -> None:
        """Draw the images, unless they are there; one process does, the others wait."""
        if is_main_process():
            write_world(str(root), **self.world)
        barrier()
        super().check_files(root)
