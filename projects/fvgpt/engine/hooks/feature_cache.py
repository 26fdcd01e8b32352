"""Training and testing on cached features of the frozen towers instead of images."""

from typing import Dict, Optional

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.dist import barrier, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import BatchSampler, DataLoader

from ...datasets.deterministic import random_steps
from ...datasets.randomness import forked_random_state
from ...io.errors import UserError
from ...io.log_once import log_once
from ...registry import HOOKS
from ...tuners.classifier import CLIPDataPreprocessor, FrozenTowerClassifier, unwrapped
from ..cached_features import (
    CachedFeatures,
    SeededView,
    encode_views,
    feature_loader,
    file_identities,
)
from ..feature_cache import FeatureCache

EVALUATION_BATCH = 1000  # images per batch of cached features in tests
LAYOUT = 2  # version of the stored arrays; entries of other versions are not read


@HOOKS.register_module()
class FeatureCacheHook(Hook):
    """Cache the frozen features of the images on disk, and train and test on them.

    This is exact if the pipeline draws no random numbers: for all tests, and for tuners that train
    on squashed images. With random crops it changes the method: ``views`` crops of each image are
    drawn once, and one of them is chosen per image and epoch. The cache key covers the weights, the
    pipeline, and name, size and modification time of all image and mask files; tuners that use the
    original CLIP's image tower share entries. If nothing can be cached (a tuner that trains its
    image tower, or random crops without ``views``), images are used as usual.

    Args:
        cache_dir: folder of the cache.
        views: number of random views per image in training; None caches no random views.
        max_gb: size of the cache, see :class:`~fvgpt.engine.feature_cache.FeatureCache`.
        batch_size: of the pass through the towers.

    Raises:
        UserError: ``views`` is less than 1.
        WriteError: the folder cannot be written.
    """

    priority = 'LOW'

    def __init__(
        self,
        cache_dir: str = 'work_dirs/features',
        views: Optional[int] = None,
        max_gb: float = 20.0,
        batch_size: int = 64,
    ):
        if views is not None and views < 1:
            raise UserError(f'feature_cache.views must be at least 1, not {views}')
        self.cache, self.views, self.batch_size = FeatureCache(cache_dir, max_gb), views, batch_size

    def before_train(self, runner: Runner) -> None:
        """Train on cached features if the pipeline draws no random numbers, or with ``views``."""
        loop = runner.train_loop
        steps = random_steps(loop.dataloader.dataset)
        views = self.views if steps else 1
        if views is None:
            log_once(
                f'features of training images are not cached: {", ".join(steps)} may draw random '
                'numbers; feature_cache.views=N caches N views of each image'
            )
            return
        cached = self._cached(runner, loop.dataloader, views, training=True)
        if cached is not None:
            loop.dataloader = feature_loader(cached, loop.dataloader.batch_sampler)

    def before_train_epoch(self, runner: Runner) -> None:
        """Choose the views of the epoch."""
        dataset = runner.train_loop.dataloader.dataset
        if isinstance(dataset, CachedFeatures):
            dataset.set_epoch(runner.epoch)

    def before_test(self, runner: Runner) -> None:
        """Test on cached features if the pipeline draws no random numbers."""
        loop = runner.test_loop
        if isinstance(loop.dataloader.dataset, CachedFeatures):
            return
        steps = random_steps(loop.dataloader.dataset)
        if steps:
            log_once(
                f'features of test images are not cached: {", ".join(steps)} may draw random '
                'numbers'
            )
            return
        loader = loop.dataloader
        cached = self._cached(runner, loader, 1, training=False)
        if cached is not None:
            batches = BatchSampler(loader.sampler, EVALUATION_BATCH, drop_last=False)
            loop.dataloader = feature_loader(cached, batches)

    def _cached(
        self, runner: Runner, loader: DataLoader, views: int, training: bool
    ) -> Optional[CachedFeatures]:
        model: FrozenTowerClassifier = unwrapped(runner.model)
        dataset: BaseDataset = loader.dataset
        identity = model.cache_key(training)
        files = file_identities(dataset)
        if (
            identity is None
            or files is None
            or not isinstance(model.data_preprocessor, CLIPDataPreprocessor)
        ):
            return None
        amp = type(runner.optim_wrapper).__name__ == 'AmpOptimWrapper' if training else False
        seed = runner.seed or 0
        key = dict(
            layout=LAYOUT,
            towers=identity,
            pipeline=repr(dataset.pipeline),
            files=files,
            views=views,
            amp=amp,
            device=model.data_preprocessor.device.type,
            seed=seed if random_steps(dataset) else None,
        )

        def make() -> Dict[str, np.ndarray]:
            # Loaders draw a random number when they start: the random numbers of the run must not
            # depend on whether the features were found or computed
            with forked_random_state(seed), torch.autocast(key['device'], enabled=amp):
                rounds = [SeededView(dataset, seed, view) for view in range(views)]
                return encode_views(model, rounds, self.batch_size, loader.num_workers, training)

        if is_main_process():  # the other ranks read its entry
            self.cache.get(key, make)
        if get_world_size() > 1:
            barrier()
        arrays = self.cache.get(key, make)
        labels = [int(dataset.get_data_info(i)['gt_label']) for i in range(len(dataset))]
        return CachedFeatures(dataset, arrays, labels, seed)
