"""Frozen features of a data set, computed once and read instead of its images."""

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence

import numpy as np
import torch
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.logging import print_log
from mmpretrain.structures import DataSample
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset
from tqdm import tqdm

from ..datasets.randomness import forked_random_state
from ..foreground.fvgpt import stack_exchanged, stack_masks
from ..tuners.classifier import FrozenTowerClassifier
from ..tuners.features import FrozenFeatures, ViewFeatures

# Fields of FrozenFeatures that are ViewFeatures
_VIEWS = ('full', 'foreground', 'exchanged', 'held_out')
_TUNED = 'tuned.'
_FILES = ('img_path', 'mask_path', 'background_img_path', 'background_mask_path')


class CachedFeatures(Dataset):
    """The images of a data set as frozen features, read in whole batches.

    Args:
        dataset: whose images were encoded.
        arrays: name -> (V, N, ...), V views of N images, named as by :func:`flatten`.
        labels: (N,).
        seed: of the choice of one view per image and epoch.
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
        """Choose one view per image; the choice depends on the seed and ``epoch`` only."""
        self.epoch = epoch
        self._choose_views()

    def _choose_views(self) -> None:
        generator = np.random.default_rng([self.seed, self.epoch])
        self.view = generator.integers(self.views, size=len(self.labels))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict:
        return self.__getitems__([index])

    def __getitems__(self, indices: List[int]) -> dict:
        """A whole batch: ``inputs``, frozen features with rows (B, ...), and ``data_samples``."""
        rows = {
            name: torch.from_numpy(array[self.view[indices], indices])
            for name, array in self.arrays.items()
        }
        return dict(inputs=restore(rows), data_samples=[self._sample(i) for i in indices])

    def _sample(self, index: int) -> DataSample:
        """Position, label, and what metrics read of an image besides these: file and group."""
        info = self.dataset.get_data_info(index) if self.dataset is not None else {}
        known = {key: info[key] for key in ('img_path', 'group') if key in info}
        return DataSample(metainfo=dict(known, sample_idx=index)).set_gt_label(self.labels[index])


class SeededView(Dataset):
    """The images of a data set, with random transforms that depend on seed, view and image only.

    So the result does not depend on the worker that loads an image.

    Args:
        dataset: its pipeline may be random or deterministic.
        seed: of the run.
        view: number of the view.
    """

    def __init__(self, dataset: BaseDataset, seed: int, view: int):
        self.dataset, self.seed, self.view = dataset, seed, view

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict:
        seed = np.random.SeedSequence([self.seed, self.view, index]).generate_state(1)[0]
        with forked_random_state(int(seed)):
            return self.dataset[index]


def flatten(frozen: FrozenFeatures) -> Dict[str, Tensor]:
    """Frozen features as one dict of tensors with rows (B, ...), the form in which they are stored.

    Keys: ``full.clip``, ``full.tuned.NAME``, the same with ``foreground``, ``exchanged`` and
    ``held_out``, and ``area``.
    """
    flat: Dict[str, Tensor] = {}
    for name in _VIEWS:
        view: Optional[ViewFeatures] = getattr(frozen, name)
        if view is not None:
            flat.update({f'{name}.{_TUNED}{key}': value for key, value in view.tuned.items()})
            if view.clip is not None:
                flat[f'{name}.clip'] = view.clip
    if frozen.area is not None:
        flat['area'] = frozen.area
    return flat


def restore(flat: Dict[str, Tensor]) -> FrozenFeatures:
    """The inverse of :func:`flatten`."""
    views: Dict[str, Optional[ViewFeatures]] = {}
    for name in _VIEWS:
        prefix = f'{name}.{_TUNED}'
        tuned = {key[len(prefix) :]: flat[key] for key in flat if key.startswith(prefix)}
        clip = flat.get(f'{name}.clip')
        views[name] = None if clip is None and not tuned else ViewFeatures(clip, tuned)
    full = views['full']
    assert full is not None, 'features without the full view'
    return FrozenFeatures(
        full, views['foreground'], flat.get('area'), views['exchanged'], views['held_out']
    )


def feature_loader(cached: CachedFeatures, batches: BatchSampler) -> DataLoader:
    """A loader of cached features in the order of ``batches``, without workers."""
    return DataLoader(cached, batch_sampler=batches, collate_fn=lambda batch: batch)


@torch.no_grad()
def encode_views(
    model: FrozenTowerClassifier,
    views: Sequence[SeededView],
    batch_size: int,
    workers: int,
    training: bool = False,
) -> Dict[str, np.ndarray]:
    """Frozen features of all images: name -> (V, N, ...), names as by :func:`flatten`.

    Args:
        model: extracts the features, in evaluation mode.
        views: V views of the N images.
        batch_size: images per pass.
        workers: of the loader.
        training: whether the images are those that the model is trained on.
    """
    was_training = model.training
    model.eval()
    rounds: List[Dict[str, np.ndarray]] = []
    for number, dataset in enumerate(views, 1):
        print_log(
            f'encoding {len(dataset)} images once for all epochs and runs (view {number} of '
            f'{len(views)})',
            'current',
        )
        loader = DataLoader(dataset, batch_size, num_workers=workers, collate_fn=pseudo_collate)
        parts = list(_encode(model, tqdm(loader, disable=None), training))
        rounds.append({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    model.train(was_training)
    return {name: np.stack([arrays[name] for arrays in rounds]) for name in rounds[0]}


def _encode(
    model: FrozenTowerClassifier, batches: Iterable, training: bool
) -> Iterator[Dict[str, np.ndarray]]:
    for batch in batches:
        data = model.data_preprocessor(batch)
        images, samples = data['inputs'], data['data_samples']
        views: Dict[str, Any] = {}
        if model.needs_masks and 'mask' in samples[0]:
            views['masks'] = stack_masks(samples, images)
        if model.needs_exchanged and 'exchanged' in samples[0]:
            views['exchanged'] = stack_exchanged(samples, images)
        frozen = model.extract_feat(images, **views)
        if training:
            frozen = frozen._replace(held_out=model.extract_held_out(images, samples))
        yield {name: rows.float().cpu().numpy() for name, rows in flatten(frozen).items()}


def file_identities(dataset: BaseDataset) -> Optional[str]:
    """sha256 over the labels and name, size and modification time of all image and mask files.

    The background images of a test view count too. None if the items are not files.
    """
    identities = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index) if hasattr(dataset, 'get_data_info') else {}
        if 'img_path' not in info:
            return None
        entry: list = [int(info['gt_label'])]
        for path in (info.get(key) for key in _FILES):
            if path is not None:
                stat = Path(path).stat()
                entry += [str(path), stat.st_size, stat.st_mtime_ns]
        identities.append(entry)
    return hashlib.sha256(json.dumps(identities).encode()).hexdigest()
