"""The augmentation of an image depends on seed, epoch and image, not on the loading process."""

import pickle
import random

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from fvgpt.datasets import FewShotDataset, Sample, WholeBatchSampler
from fvgpt.datasets.randomness import SeededIndex, forked_random_state

IMAGES = 11


class Draws(FewShotDataset):
    """Images without files, whose pipeline returns random numbers of all generators."""

    def class_names_by_label(self):
        return {0: 'cat', 1: 'dog'}

    def samples(self, split):
        return [Sample(f'{i}.png', i % 2) for i in range(IMAGES)]

    def __init__(self, data_root):
        super().__init__(
            str(data_root),
            pipeline=[
                lambda info: (
                    info['sample_idx'],
                    random.random(),
                    float(np.random.rand()),
                    float(torch.rand(())),
                )
            ],
        )


def epochs(dataset, workers, epochs=(0, 1), rank=0, world_size=1, seed=5):
    sampler = DefaultSampler(dataset, seed=seed)
    sampler.rank, sampler.world_size = rank, world_size
    sampler.num_samples = -(-len(dataset) // world_size)
    sampler.total_size = sampler.num_samples * world_size
    loader = DataLoader(
        dataset,
        batch_sampler=WholeBatchSampler(sampler, 4 // world_size),
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=list,
    )
    found = []
    for epoch in epochs:
        sampler.set_epoch(epoch)
        found.append(list(loader))
    return found


def test_number_of_workers_and_the_epochs_before_do_not_matter(tmp_path):
    dataset = Draws(tmp_path)
    both = epochs(dataset, 1)
    assert epochs(dataset, 2) == both
    assert epochs(dataset, 2, epochs=[1]) == both[1:]  # a resumed run, whose workers are new
    first, second = ({i: rest for batch in epoch for i, *rest in batch} for epoch in both)
    assert all(first[i] != second[i] for i in first.keys() & second.keys())
    assert epochs(dataset, 1, seed=6) != both


@pytest.mark.parametrize('world_size', [2, 4])
def test_processes_together_see_the_batches_of_one(tmp_path, world_size):
    dataset = Draws(tmp_path)
    shares = [epochs(dataset, 1, rank=rank, world_size=world_size) for rank in range(world_size)]
    for number, epoch in enumerate(epochs(dataset, 1)):
        together = [
            [item for batch in batches for item in batch]
            for batches in zip(*(share[number] for share in shares), strict=True)
        ]
        assert [sorted(batch) for batch in together] == [sorted(batch) for batch in epoch]


def test_one_process_without_workers_uses_its_own_random_stream(tmp_path):
    dataset = Draws(tmp_path)
    random.seed(0)
    expected = [random.random() for _ in range(8)]
    random.seed(0)
    assert [drawn for batch in epochs(dataset, 0, [0])[0] for _, drawn, *_ in batch] == expected


def test_a_seeded_index_keeps_its_seed_when_it_is_pickled():
    index = pickle.loads(pickle.dumps(SeededIndex(3, 7)))
    assert index == 3 and [10, 11, 12, 13][index] == 13 and index.seed == 7


def test_the_generators_are_restored():
    def draw():
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    for generator in (torch.manual_seed, np.random.seed, random.seed):
        generator(1)
    expected = draw()
    for generator in (torch.manual_seed, np.random.seed, random.seed):
        generator(1)
    with forked_random_state(5):
        drawn = draw()
    assert draw() == expected
    with forked_random_state(5):
        assert draw() == drawn != expected


@pytest.mark.parametrize('world_size', [1, 2, 4])
@pytest.mark.parametrize('images', [8, 82, 83])
def test_processes_drop_what_one_process_would_drop(images, world_size):
    loader = Runner.build_dataloader(
        dict(
            dataset=list(range(images)),
            batch_size=4 // world_size,
            num_workers=0,
            collate_fn=dict(type='default_collate'),
            sampler=dict(type='DefaultSampler', shuffle=True),
            batch_sampler=dict(type='WholeBatchSampler'),
        ),
        seed=1,
    )
    sampler = loader.batch_sampler.sampler
    sampler.world_size = world_size
    sampler.num_samples = -(-images // world_size)
    sampler.total_size = sampler.num_samples * world_size
    assert len(loader) == len(list(loader)) == images // 4
