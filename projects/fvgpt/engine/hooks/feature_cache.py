"""Training and testing on kept features of the frozen towers instead of images."""

import hashlib
import json
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence

import numpy as np
import torch
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.dist import barrier, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmpretrain.structures import DataSample
from torch.utils.data import BatchSampler, DataLoader, Dataset
from tqdm import tqdm

from ...datasets.deterministic import random_steps
from ...datasets.randomness import forked_random_state
from ...foreground.fvgpt import FVGPT, stack_masks
from ...io.errors import UserError
from ...io.log_once import log_once
from ...registry import HOOKS
from ...tuners.classifier import CLIPClassifier, CLIPDataPreprocessor, unwrapped
from ..feature_cache import FeatureCache

EVALUATION_BATCH = 1000


class CachedFeatures(Dataset):
    """The images of a data set as :meth:`~fvgpt.tuners.classifier.CLIPClassifier.extract_feat` gave them.

    Args:
        dataset: that the features are of.
        arrays: name -> (V, N, ...), V views of N images.
        labels: (N,).
        seed: of the choice of the view, which is drawn anew for each image and epoch where there are several.
    """

    def __init__(
        self,
        dataset: BaseDataset,
        arrays: Dict[str, np.ndarray],
        labels: Sequence[int],
        seed: int = 0,
    ):
        self.dataset, self.labels, self.seed, self.epoch = dataset, list(labels), seed, 0
        self.arrays = arrays
        self.views = len(next(iter(arrays.values())))
        self._choose_views()

    def set_epoch(self, epoch: int) -> None:
        """Choose the views of an epoch, by the seed and its number."""
        self.epoch = epoch
        self._choose_views()

    def _choose_views(self) -> None:
        self.view = np.random.default_rng([self.seed, self.epoch]).integers(
            self.views, size=len(self.labels)
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict:
        return self.__getitems__([index])

    def __getitems__(self, indices: List[int]) -> dict:
        """A whole batch, as the data preprocessor takes it."""
        inputs = {
            name: torch.from_numpy(array[self.view[indices], indices])
            for name, array in self.arrays.items()
        }
        return dict(
            inputs=inputs, data_samples=[DataSample().set_gt_label(self.labels[i]) for i in indices]
        )


class SeededView(Dataset):
    """The images of a data set under random numbers that follow from seed, view and image, whichever worker loads them.

    Args:
        dataset: with a random pipeline, or not.
        seed: of the run. view: number of the view.
    """

    def __init__(self, dataset: BaseDataset, seed: int, view: int):
        self.dataset, self.seed, self.view = dataset, seed, view

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict:
        seed = np.random.SeedSequence([self.seed, self.view, index]).generate_state(1)[0]
        with forked_random_state(int(seed)):
            return self.dataset[index]


@HOOKS.register_module()
class FeatureCacheHook(Hook):
    """Keep what the frozen towers say of the images on disk, and train and test on that.

    Exact where the pipeline draws no random numbers: all tests, and tuners that train on squashed images. Training with random
    crops is another method: ``views`` crops of each image are drawn once, one of which is chosen for each image and epoch.
    Features are found again by the weights, the pipeline, and name, size and time of all image and mask files; tuners whose
    image tower is CLIP's share them. Where nothing can be kept (a tuner that trains its image tower, ``views`` not given)
    images are used as always.

    Args:
        cache_dir: folder of the cache.
        views: random views an image in training; None keeps none.
        max_gb: size of the cache, see :class:`~fvgpt.engine.feature_cache.FeatureCache`.
        batch_size: of the pass through the towers.
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
        """Train on kept features where the pipeline draws no random numbers, or ``views`` are given."""
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
            loop.dataloader = feature_loader(loop.dataloader, cached, loop.dataloader.batch_sampler)

    def before_train_epoch(self, runner: Runner) -> None:
        """Choose the epoch's views."""
        dataset = runner.train_loop.dataloader.dataset
        if isinstance(dataset, CachedFeatures):
            dataset.set_epoch(runner.epoch)

    def before_test(self, runner: Runner) -> None:
        """Test on kept features where the pipeline draws no random numbers."""
        loop = runner.test_loop
        if isinstance(loop.dataloader.dataset, CachedFeatures):
            return
        steps = random_steps(loop.dataloader.dataset)
        if steps:
            log_once(
                f'features of test images are not cached: {", ".join(steps)} may draw random numbers'
            )
            return
        loader = loop.dataloader
        cached = self._cached(runner, loader, 1, training=False)
        if cached is not None:
            batches = BatchSampler(loader.sampler, EVALUATION_BATCH, drop_last=False)
            loop.dataloader = feature_loader(loader, cached, batches)

    def _cached(
        self, runner: Runner, loader: DataLoader, views: int, training: bool
    ) -> Optional[CachedFeatures]:
        model: CLIPClassifier = unwrapped(runner.model)
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
            towers=identity,
            pipeline=repr(dataset.pipeline),
            files=files,
            views=views,
            amp=amp,
            device=model.data_preprocessor.device.type,
            seed=seed if random_steps(dataset) else None,
        )

        def make() -> Dict[str, np.ndarray]:
            # Whether features were found or made changes no random number after it: loaders draw one when they start
            with forked_random_state(seed), torch.autocast(key['device'], enabled=amp):
                rounds = [SeededView(dataset, seed, view) for view in range(views)]
                return encode_views(model, rounds, self.batch_size, loader.num_workers)

        if is_main_process():  # the others find it made
            self.cache.get(key, make)
        if get_world_size() > 1:
            barrier()
        arrays = self.cache.get(key, make)
        labels = [int(dataset.get_data_info(i)['gt_label']) for i in range(len(dataset))]
        return CachedFeatures(dataset, arrays, labels, seed)


def feature_loader(loader: DataLoader, cached: CachedFeatures, batches: BatchSampler) -> DataLoader:
    """A loader in place of ``loader``, of the same images in the same order, without workers."""
    return DataLoader(cached, batch_sampler=batches, collate_fn=lambda batch: batch)


@torch.no_grad()
def encode_views(
    model: CLIPClassifier, views: Sequence[SeededView], batch_size: int, workers: int
) -> Dict[str, np.ndarray]:
    """``extract_feat`` of all images of each view: name -> (views, N, ...)."""
    was_training = model.training
    model.eval()
    rounds: List[Dict[str, np.ndarray]] = []
    for number, dataset in enumerate(views, 1):
        print_log(
            f'encoding {len(dataset)} images once for all epochs and runs (view {number} of {len(views)})',
            'current',
        )
        loader = DataLoader(dataset, batch_size, num_workers=workers, collate_fn=pseudo_collate)
        parts = list(_encoded(model, tqdm(loader, disable=None)))
        rounds.append({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    model.train(was_training)
    return {name: np.stack([arrays[name] for arrays in rounds]) for name in rounds[0]}


def _encoded(model: CLIPClassifier, batches) -> Iterator[Dict[str, np.ndarray]]:
    for batch in batches:
        data = model.data_preprocessor(batch)
        images, samples = data['inputs'], data['data_samples']
        if isinstance(model, FVGPT) and model.compensation and 'mask' in samples[0]:
            features = model.extract_feat(images, stack_masks(samples, images))
        else:
            features = model.extract_feat(images)
        yield {name: rows.float().cpu().numpy() for name, rows in features.items()}


def file_identities(dataset: BaseDataset) -> Optional[str]:
    """sha256 over name, size and time of all image and mask files and the labels; None where items are no files."""
    identities = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index) if hasattr(dataset, 'get_data_info') else {}
        if 'img_path' not in info:
            return None
        entry: list = [int(info['gt_label'])]
        for path in (info['img_path'], info.get('mask_path')):
            if path is not None:
                stat = Path(path).stat()
                entry += [str(path), stat.st_size, stat.st_mtime_ns]
        identities.append(entry)
    return hashlib.sha256(json.dumps(identities).encode()).hexdigest()
