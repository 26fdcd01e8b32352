"""The embedded synthetic image set as a data set. It is drawn on first use, then read from disk."""

from pathlib import Path
from typing import Any, Dict

from mmengine.dist import barrier, is_main_process

from ..quickstart.world import write_world
from ..registry import DATASETS
from .split_file import SplitFileDataset


@DATASETS.register_module()
class QuickstartWorld(SplitFileDataset):
    """The task of :mod:`fvgpt.quickstart.world`: 20 base and 20 new classes of drawn images.

    Args:
        data_root: folder to which the images are written; created if it does not exist.
        background_correlation: share of the training images that have their class's own background.
        mask_quality: quality of the training masks: ``exact``, ``eroded``, ``shifted``, ``wrong``
            or ``missing``. Masks of test images, which only an analysis reads, are exact, or
            missing for ``missing``.
        train_per_class, test_per_class: images per class.
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
        """Draw the images unless they exist. Rank 0 draws them while the other ranks wait."""
        if is_main_process():
            write_world(str(root), **self.world)
        barrier()
        super().check_files(root)
