"""Choice and check of the torch device."""

import os

import pytest
import torch

from fvgpt.io.device import cpu_count, torch_device


def test_the_default_is_the_gpu_if_there_is_one():
    assert torch_device() == ('cuda' if torch.cuda.is_available() else 'cpu')
    assert torch_device('cpu') == torch_device(torch.device('cpu')) == 'cpu'


@pytest.mark.parametrize(
    'device, message',
    [
        ('gpu', '--device gpu cannot be used here: .*; leave it out'),
        (f'cuda:{torch.cuda.device_count()}', '--device cuda:.*; leave it out'),
    ],
)
def test_a_device_that_does_not_exist_is_named(device, message):
    with pytest.raises(ValueError, match=message):
        torch_device(device)


@pytest.mark.skipif(not hasattr(os, 'sched_setaffinity'), reason='Linux alone has affinities')
def test_cores_are_those_of_the_affinity():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cpu_count() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert cpu_count() == len(before)
