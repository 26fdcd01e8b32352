"""docs/mixing.md: its configs load, train and test, and it names a command for each example."""

import re
import runpy
import sys
from pathlib import Path

import mmpretrain
import pytest
from mmengine import Config, load

from ..conftest import ROOT
from .conftest import WORLD

GUIDE = (ROOT / 'docs' / 'mixing.md').read_text(encoding='utf-8')
BLOCKS = re.findall(r'```python\n(.*?)```', GUIDE, re.S)
TOOLS = Path(mmpretrain.__file__).parent / '.mim' / 'tools'


@pytest.mark.parametrize('block', BLOCKS)
def test_every_config_in_it_loads(block, tmp_path):
    path = tmp_path / 'theirs.py'
    path.write_text(block)
    assert Config.fromfile(path).get('model')


def test_every_example_has_its_command():
    commands = {
        ROOT / path for path in re.findall(r'^    python tools/train\.py (\S+)$', GUIDE, re.M)
    }
    assert all(path.is_file() for path in commands)
    assert set((ROOT / 'configs' / 'mixing').glob('*.py')) <= commands


def test_mmpretrains_own_commands_train_and_test_it(tuned, world, tmp_path, monkeypatch):
    (block,) = (block for block in BLOCKS if '__import__' in block)
    small = repr(WORLD)
    path = tmp_path / 'theirs.py'
    path.write_text(
        f'{block}\ndata_root = {str(world)!r}\nmodel = dict(backbone_checkpoint={str(tuned)!r})\n'
        f'train_dataloader = dict(dataset={small})\ntest_dataloader = dict(dataset={small})\n'
        'train_cfg = dict(max_epochs=1)\n'
    )

    def command(name, *arguments):
        monkeypatch.setattr(sys, 'argv', [name, str(path), *map(str, arguments)])
        monkeypatch.setenv('LOCAL_RANK', '0')  # the commands set it and do not restore it
        runpy.run_path(str(TOOLS / name), run_name='__main__')

    command('train.py', '--work-dir', tmp_path / 'work')
    metrics = tmp_path / 'metrics.pkl'
    command(
        'test.py',
        tmp_path / 'work' / 'epoch_1.pth',
        '--work-dir',
        tmp_path / 'tested',
        '--tta',
        '--out',
        metrics,
        '--out-item',
        'metrics',
    )
    assert {'fvgpt/base', 'tuner/base', 'zero_shot/base'} <= set(load(metrics))
