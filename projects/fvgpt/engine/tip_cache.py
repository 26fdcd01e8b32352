"""Filling Tip-Adapter's cache before training."""
import torch
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from torch.utils.data import DataLoader

from ..registry import HOOKS
from ..tuners.tip_adapter import TipAdapter
from .hooks import unwrapped


@HOOKS.register_module()
class TipCacheHook(Hook):
    """Encode every training image once, in order, augmented as the pipeline says, and hand the features to TipAdapter.

    Every process encodes all images, so that all have the same cache.

    Args:
        batch_size: of this pass.
    """

    def __init__(self, batch_size: int = 64):
        self.batch_size = batch_size

    @torch.no_grad()
    def before_train(self, runner) -> None:
        """Fill the cache, unless a resumed run's checkpoint brought it.

        Raises:
            ValueError: the training set has not ``cache_size`` images.
        """
        if runner.iter > 0:
            return  # resumed: the cache came with the checkpoint
        model: TipAdapter = unwrapped(runner.model)
        loader = DataLoader(runner.train_dataloader.dataset, self.batch_size, collate_fn=pseudo_collate)
        entries = [model.cache_entries(**model.data_preprocessor(batch)) for batch in loader]
        model.fill_cache(*(torch.cat([entry[key] for entry in entries]) for key in ('features', 'labels')))
