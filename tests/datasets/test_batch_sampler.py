"""Images of a training epoch."""

import pytest
from mmengine.runner import Runner
from torch.utils.data import SequentialSampler

from fvgpt.datasets import WholeBatchSampler


@pytest.mark.parametrize(
    'images, expected', [(7, [3, 3]), (6, [3, 3]), (3, [3]), (2, [2]), (1, [1])]
)
def test_incomplete_batches_are_dropped_unless_there_is_no_other(images, expected):
    sampler = WholeBatchSampler(SequentialSampler(range(images)), 3)
    assert [len(batch) for batch in sampler] == expected
    assert len(sampler) == len(expected)


def test_the_runner_builds_it_from_a_config():
    loader = Runner.build_dataloader(
        dict(
            dataset=list(range(5)),
            batch_size=8,
            num_workers=0,
            collate_fn=dict(type='default_collate'),
            sampler=dict(type='DefaultSampler', shuffle=True),
            batch_sampler=dict(type='WholeBatchSampler'),
        ),
        seed=1,
    )
    assert [sorted(batch.tolist()) for batch in loader] == [[0, 1, 2, 3, 4]]
