"""One recipe gives one result, by our commands, mmpretrain's, MIM's and from Python."""

import json
from pathlib import Path

import mmpretrain
import pytest
import torch

from ..conftest import ROOT, run_tool

RECIPE = ROOT / 'configs' / 'fvgpt' / 'coop_fvg_quickstart.py'
PARTS = ('tuner/epoch_1.pth', 'epoch_1.pth')
# MIM takes the package's folder and looks there
MIM = ROOT / 'projects' / 'fvgpt' / '.mim' / 'tools'
THEIRS = Path(mmpretrain.__file__).parent / '.mim' / 'tools'


@pytest.fixture(scope='module')
def options(tmp_path_factory):
    """A short recipe, of both stages."""
    few = [f'{part}_dataloader.dataset.test_per_class=2' for part in ('train', 'test')]
    data = f'data_root={tmp_path_factory.mktemp("data")}'
    return [data, 'train_cfg.max_epochs=1', 'num_shots=1', 'model.tuner.n_ctx=2', *few]


def outcome(work_dir):
    """results.json, and the parameters of both stages."""
    states = [torch.load(work_dir / part, weights_only=True)['state_dict'] for part in PARTS]
    return json.loads((work_dir / 'results.json').read_text()), states


@pytest.fixture(scope='module')
def ours(options, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('ours')
    run('tools/train.py', RECIPE, '--work-dir', work_dir, '--cfg-options', *options)
    return outcome(work_dir)


def run(*command, cwd=ROOT):
    done = run_tool(*command, cwd=cwd)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done


def assert_same(ours, work_dir):
    results, states = outcome(work_dir)
    assert results == ours[0] and set(results) == {'zero_shot', 'tuner', 'fvgpt'}
    for own, other in zip(ours[1], states):
        assert own.keys() == other.keys() and own
        assert all(torch.equal(value, other[key]) for key, value in own.items())


def test_mmpretrains_own_commands(ours, options, tmp_path):
    """The files that mmpretrain installs; no flag of theirs is needed."""
    run(
        THEIRS / 'train.py', RECIPE, '--work-dir', tmp_path, '--cfg-options', *options, cwd=tmp_path
    )
    assert not (tmp_path / 'results.json').exists()  # their train.py does not test
    checkpoint = tmp_path / 'epoch_1.pth'
    common = ('--work-dir', tmp_path, '--cfg-options', *options)
    run(THEIRS / 'test.py', RECIPE, checkpoint, *common, cwd=tmp_path)
    assert_same(ours, tmp_path)


def test_mmpretrains_command_resumes(ours, options, tmp_path):
    """A finished stage 1 is taken, and the newest checkpoint that can be read; what other settings
    made is refused."""
    arguments = (THEIRS / 'train.py', RECIPE, '--work-dir', tmp_path, '--cfg-options', *options)
    run(*arguments, cwd=tmp_path)
    (tmp_path / 'epoch_2.pth').write_bytes(b'cut')
    done = run(*arguments, 'train_cfg.max_epochs=1', '--resume', cwd=tmp_path)
    assert 'stage 1 is done' in done.stdout and f'the run goes on from {tmp_path}' in done.stdout
    (tmp_path / 'epoch_2.pth').unlink()
    refused = run_tool(*arguments, 'num_shots=2', '--resume', cwd=tmp_path)
    assert refused.returncode == 1 and 'trained with other settings' in refused.stderr


def test_the_commands_that_mim_composes(ours, options, tmp_path):
    """``mim train fvgpt`` and ``mim test fvgpt``, as openmim 0.3.9 calls the tools
    (``mim/commands/train.py``)."""
    common = ('--launcher', 'none', '--work-dir', tmp_path, '--cfg-options', *options)
    run(MIM / 'train.py', RECIPE, *common, cwd=tmp_path)
    assert_same(ours, tmp_path)
    (tmp_path / 'results.json').unlink()
    run(MIM / 'test.py', RECIPE, tmp_path / 'epoch_1.pth', *common, cwd=tmp_path)
    assert_same(ours, tmp_path)
    assert '--gpus' not in run(MIM / 'train.py', '-h').stdout  # else it would be given them


def test_from_python(ours, options, tmp_path):
    code = f"""
from mmengine.config import Config
from mmengine.registry import RUNNERS
config = Config.fromfile({str(RECIPE)!r})
config.merge_from_dict(dict(part.split('=') for part in {options!r}))
for part in (config.train_dataloader, config.test_dataloader):
    part.dataset.test_per_class = 2
config.train_cfg.max_epochs = config.num_shots = 1
config.model.tuner.n_ctx, config.work_dir = 2, {str(tmp_path)!r}
runner = RUNNERS.build(config)
runner.train()
print(sorted(runner.test()))
"""
    assert "'fvgpt/base'" in run('-c', code, cwd=tmp_path).stdout
    assert_same(ours, tmp_path)
