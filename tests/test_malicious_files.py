"""Untrusted files: wherever a checkpoint is read, one that would run code is refused, not run."""

import json
import os
import pickle
import runpy
import subprocess
import sys
import zipfile
from functools import partial

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader

from fvgpt.engine.feature_cache import FeatureCache, file_digest
from fvgpt.tuners.checkpoint import read_checkpoint
from fvgpt.tuners.provenance import PROVENANCE

from .conftest import ROOT

TUNED, BOTH = 'configs/fvgpt/coop_quickstart.py', 'configs/fvgpt/coop_fvg_quickstart.py'


class Calls:
    """Pickled as the call of a function."""

    def __init__(self, function, *arguments, state=None):
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.reduced

    def __call__(self):
        """Pickle requires a callable."""


def bomb(target) -> Calls:
    return Calls(os.system, f'touch {target}')


def attribute(owner, name, *arguments) -> Calls:
    """The call of an attribute, by way of the getattr that HistoryBuffer's pickles need."""
    return (
        Calls(Calls(getattr, owner, name), *arguments) if arguments else Calls(getattr, owner, name)
    )


def objects(content) -> np.ndarray:
    array = np.empty(1, object)
    array[0] = content
    return array


STATE = dict(state_dict={})
VARIANTS = {
    'in meta': lambda target: dict(STATE, meta=bomb(target)),
    'in place of the parameters': lambda target: dict(state_dict=bomb(target)),
    'as a parameter': lambda target: dict(state_dict={'ctx': bomb(target)}),
    'in the optimizer': lambda target: dict(
        STATE, optimizer=dict(state={0: dict(momentum_buffer=bomb(target))})
    ),
    'in the message hub': lambda target: dict(
        STATE, message_hub=dict(log_scalars={'train/loss': bomb(target)})
    ),
    'in a HistoryBuffer': lambda target: dict(
        STATE, log=Calls(HistoryBuffer, [], [], state=dict(x=bomb(target)))
    ),
    'in an object array': lambda target: dict(STATE, array=objects(bomb(target))),
    'in the class names': lambda target: dict(
        STATE, meta={PROVENANCE: dict(class_names=[bomb(target)])}
    ),
    'in the random states': lambda target: dict(
        STATE, meta=dict(random_states=[dict(python=bomb(target))])
    ),
    'exec': lambda target: dict(STATE, x=Calls(exec, f'open({str(target)!r}, "w")')),
    'eval': lambda target: dict(STATE, x=Calls(eval, f'open({str(target)!r}, "w")')),
    'open': lambda target: dict(STATE, x=Calls(open, str(target), 'w')),
    'a process': lambda target: dict(STATE, x=Calls(subprocess.Popen, ['touch', str(target)])),
    'a partial function': lambda target: dict(
        STATE, x=Calls(partial(os.system, f'touch {target}'))
    ),
    'torch.load': lambda target: dict(STATE, x=Calls(torch.load, f'{target}.inner')),
    'torch.hub': lambda target: dict(STATE, x=Calls(torch.hub.load, str(target), 'model', 'local')),
    'getattr of a class': lambda target: dict(STATE, x=attribute(HistoryBuffer, '__subclasses__')),
    'getattr of globals': lambda target: dict(
        STATE, x=attribute(HistoryBuffer.mean, '__globals__')
    ),
    'getattr of an init': lambda target: dict(STATE, x=attribute(HistoryBuffer, '__init__')),
    'getattr of a registration': lambda target: dict(
        STATE, x=attribute(HistoryBuffer, 'register_statistics', os.system)
    ),
    'getattr of numpy': lambda target: dict(STATE, x=attribute(np.ndarray, 'tofile', str(target))),
    'numpy to a file': lambda target: dict(
        STATE, x=Calls(np.ndarray.tofile, np.zeros(1), str(target))
    ),
}


@pytest.mark.parametrize('legacy', [False, True], ids=['zip', 'legacy'])
@pytest.mark.parametrize('variant', VARIANTS)
def test_whatever_a_checkpoint_would_run_is_not_run(variant, legacy, tmp_path):
    target, path = tmp_path / 'went_off', tmp_path / 'epoch_1.pth'
    torch.save(VARIANTS[variant](target), path, _use_new_zipfile_serialization=not legacy)
    for read in (read_checkpoint, CheckpointLoader.load_checkpoint):
        with pytest.raises(
            ValueError,
            match=r'epoch_1\.pth cannot be read as a checkpoint of tensors and plain values',
        ):
            read(str(path))
    assert not target.exists()


def test_a_plain_pickle_is_not_unpickled(tmp_path):
    (tmp_path / 'x.pth').write_bytes(pickle.dumps(dict(STATE, x=bomb(tmp_path / 'went_off'))))
    with pytest.raises(ValueError, match='cannot be read as a checkpoint') as refused:
        read_checkpoint(str(tmp_path / 'x.pth'))
    assert not (tmp_path / 'went_off').exists()
    assert '\n' not in str(refused.value) and 'weights_only' not in str(refused.value), (
        "torch's advice is to unpickle it"
    )


def test_a_checkpoint_that_unfolds_to_more_than_it_is_is_refused(tmp_path):
    torch.save(dict(state_dict={'ctx': torch.zeros(1 << 20)}), tmp_path / 'plain.pth')
    with (
        zipfile.ZipFile(tmp_path / 'plain.pth') as old,
        zipfile.ZipFile(tmp_path / 'x.pth', 'w', zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(ValueError, match='it is compressed'):
        read_checkpoint(str(tmp_path / 'x.pth'))


@pytest.mark.parametrize(
    'content, message',
    [
        (dict(state_dict={'ctx': 'text'}), 'more than tensors'),
        (dict(STATE, meta=3), 'meta is not a dict'),
        (dict(STATE, meta={PROVENANCE: 'CoOp'}), 'its provenance is invalid'),
        (dict(STATE, meta={PROVENANCE: dict(class_names='cat')}), 'its provenance is invalid'),
        (dict(STATE, meta={PROVENANCE: dict(class_names=[1])}), 'its provenance is invalid'),
    ],
)
def test_plain_values_of_another_form_are_refused(content, message, tmp_path):
    torch.save(content, tmp_path / 'x.pth')
    with pytest.raises(ValueError, match=message):
        read_checkpoint(str(tmp_path / 'x.pth'))


def test_checkpoints_by_address_are_read_alike(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    (tmp_path / 'checkpoints').mkdir()
    torch.save(
        VARIANTS['in meta'](tmp_path / 'went_off'), tmp_path / 'checkpoints' / 'x.pth'
    )  # as if it had been fetched
    with pytest.raises(pickle.UnpicklingError, match='posix.system'):
        CheckpointLoader.load_checkpoint('https://example.org/x.pth')
    assert not (tmp_path / 'went_off').exists()


# ------------------------------------------------------------------ through the commands
@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    return tmp_path_factory.mktemp('data')


@pytest.mark.parametrize(
    'script, arguments',
    [
        ('train', [TUNED, '--resume']),
        ('train', [BOTH]),
        ('test', [TUNED, 'BOMB']),
        ('train', [TUNED, 'load_from=BOMB']),
        ('train', [BOTH, 'model.backbone_checkpoint=BOMB']),
        ('predict', ['README.md', '--checkpoint', 'BOMB']),
        ('convert_dassl', ['BOMB', 'OUT', '--tuner', 'CoOp']),
        ('convert_dassl', ['BOMB', 'OUT', '--export']),
        ('export', ['BOMB', '--out', 'OUT']),
        ('analyze', [BOTH, 'BOMB', '--out', 'OUT']),
    ],
)
def test_every_command_refuses_it(script, arguments, data_root, tmp_path, monkeypatch, capsys):
    target, run = tmp_path / 'went_off', tmp_path / 'run'
    for folder, epoch in ((run, 1), (run / 'tuner', 1)):
        folder.mkdir()
        torch.save(VARIANTS['in the optimizer'](target), folder / f'epoch_{epoch}.pth')
        (folder / 'last_checkpoint').write_text(str(folder / f'epoch_{epoch}.pth'))
    words = [
        word.replace('BOMB', str(run / 'epoch_1.pth')).replace('OUT', str(tmp_path / 'out'))
        for word in arguments
    ]
    if script in ('train', 'test', 'analyze'):
        options = [word for word in words if '=' in word]
        words = [word for word in words if '=' not in word]
        few = [
            f'{part}.dataset.test_per_class=1' for part in ('train_dataloader', 'test_dataloader')
        ]
        words += [
            *(['--work-dir', str(run)] if script != 'analyze' else []),
            '--cfg-options',
            f'data_root={data_root}',
            *few,
            'train_cfg.max_epochs=1',
            *options,
        ]
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    monkeypatch.setattr(sys, 'argv', [f'{script}.py', *words])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / 'tools' / f'{script}.py'), run_name='__main__')
    assert 'epoch_1.pth cannot be read as a checkpoint of tensors and plain values' in str(
        ended.value.code
    )
    assert not target.exists()


# ------------------------------------------------------------------ other files
def test_a_pickle_in_the_feature_cache_is_made_again(tmp_path):
    cache = FeatureCache(str(tmp_path / 'cache'))
    cache.get(dict(name='x'), lambda: dict(clip=np.ones(3)))
    entry = next(path for path in (tmp_path / 'cache').iterdir() if path.is_dir())
    np.save(entry / 'clip.npy', objects(bomb(tmp_path / 'went_off')), allow_pickle=True)
    head = json.loads((entry / 'contents.json').read_text())
    head['files']['clip.npy'] = file_digest(entry / 'clip.npy')
    (entry / 'contents.json').write_text(json.dumps(head))
    arrays = FeatureCache(str(tmp_path / 'cache')).get(
        dict(name='x'), lambda: dict(clip=np.zeros(3))
    )
    assert arrays['clip'].tolist() == [0, 0, 0] and not (tmp_path / 'went_off').exists()
