"""A small copy of the embedded image set, and a fixture that runs a mixed config for one epoch."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from fvgpt.datasets import QuickstartWorld

from ..conftest import ROOT

WORLD = dict(train_per_class=1, test_per_class=1)


@pytest.fixture(scope='session')
def world(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp('world')
    QuickstartWorld(str(root), lazy_init=True, **WORLD)
    return root


def small(entry, root: Path):
    """A part of a config with every data set of the embedded world replaced by the small copy."""
    if isinstance(entry, dict):
        entry = type(entry)((key, small(value, root)) for key, value in entry.items())
        if entry.get('type') == 'QuickstartWorld':
            second = 'background_correlation' in entry
            return type(entry)(entry, data_root=str(root / 'second' if second else root), **WORLD)
        return entry
    return (
        type(entry)(small(part, root) for part in entry)
        if isinstance(entry, (list, tuple))
        else entry
    )


@pytest.fixture
def runner_of(world, tmp_path):
    """``runner_of(name, options)``: Runner of ``configs/mixing/<name>.py``, one epoch."""

    def build(name: str, options: dict = {}) -> Runner:
        config = Config.fromfile(ROOT / 'configs' / 'mixing' / f'{name}.py')
        config.merge_from_dict(
            {'train_cfg.max_epochs': 1, 'work_dir': str(tmp_path / 'work'), **options}
        )
        return Runner.from_cfg(Config(small(config.to_dict(), world), format_python_code=False))

    return build


@pytest.fixture
def tuned(runner_of, tmp_path) -> Path:
    """A CoOp trained for one epoch on two roots with one class list."""
    runner = runner_of('concat_datasets', {'work_dir': str(tmp_path / 'tuned')})
    assert (
        len(runner.train_dataloader.dataset) == 2 * 20
        and len(runner.train_dataloader.dataset.datasets) == 2
    )
    start = runner.model.ctx.clone()
    runner.train()
    assert runner.iter == 5 and not torch.equal(runner.model.ctx, start)
    assert len(runner.model.trained_class_names) == 20
    return tmp_path / 'tuned' / 'epoch_1.pth'
