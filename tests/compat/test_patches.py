"""Patches of other libraries, applied by ``import fvgpt``, and the check of their versions."""

import re
import sys
import zipfile

import numpy as np
import pytest
import torch

from fvgpt.compat import versions

from ..conftest import ROOT, run_tool


def test_import_registers_everything_in_the_root_registries_from_anywhere(tmp_path):
    code = """
import fvgpt
from mmengine.registry import (
    DATASETS, HOOKS, LOOPS, METRICS, MODELS, PARAM_SCHEDULERS, TRANSFORMS
)
for registry, names in {
    DATASETS: 'SplitFileDataset ClassFolderDataset FewShotWrapper QuickstartWorld',
    HOOKS: 'ClassNamesHook ProvenanceHook',
    LOOPS: 'SubsetTestLoop',
    METRICS: 'SubsetAccuracy',
    MODELS: 'FrozenCLIP ZeroShotCLIP CoOp FVGPT ForegroundReliabilityGate PriorCalibration '
            'ForegroundDistillationCompensation ForegroundDistillationLoss ReliabilityLoss '
            'PriorCalibrationLoss BackboneReliabilityGate',
    PARAM_SCHEDULERS: 'WarmupCosineLR',
    TRANSFORMS: 'LoadForegroundMask PairedRandomResizedCrop PackForegroundInputs',
}.items():
    for name in names.split():
        assert name in registry._module_dict, name
assert fvgpt.LOSSES is MODELS
from mmpretrain.registry import MODELS as CHILD
assert CHILD.get('FVGPT') is fvgpt.foreground.FVGPT
"""
    done = run_tool('-c', code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_import_prints_nothing_on_stdout():
    done = run_tool('-c', 'import fvgpt')
    assert done.returncode == 0, done.stderr
    assert done.stdout == ''


def test_torchvision_is_patched_at_most_once_and_only_if_it_fails():
    code = (
        'from fvgpt.compat.torchvision import patch_torchvision, _libraries; patch_torchvision(); '
        'patch_torchvision(); import torchvision.transforms; print(len(_libraries))'
    )
    done = run_tool('-c', code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ('0', '1')


@pytest.mark.parametrize(
    'installed, message',
    [
        ({'torch': '1.13.1'}, r'torch 1\.13\.1 is installed \(needs >=2\.4, <3\)'),
        (
            {'mmengine': '', 'mmcv': '1.7.2'},
            r'mmengine is not installed.*; mmcv 1\.7\.2 is installed',
        ),
    ],
)
def test_unsupported_versions_give_one_message(monkeypatch, installed, message):
    real = versions._installed
    monkeypatch.setattr(
        versions, '_installed', lambda package: installed.get(package, real(package))
    )
    with pytest.raises(ImportError, match=message):
        versions.check_versions()


def install(monkeypatch, installed):
    """Pretend that exactly these distributions are installed."""

    def version(name):
        if name not in installed:
            raise versions.importlib.metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(versions.importlib.metadata, 'version', version)


def test_the_maintained_forks_are_accepted(monkeypatch):
    forks = {'onedl-mmengine': '0.10.12', 'onedl-mmcv': '2.3.6', 'onedl-mmpretrain': '1.3.6'}
    install(monkeypatch, {'torch': '2.13.0', 'open_clip_torch': '3.3.0', **forks})
    versions.check_versions()
    install(
        monkeypatch, {'torch': '2.13.0', 'open_clip_torch': '3.3.0', **forks, 'onedl-mmcv': '2.4.0'}
    )
    with pytest.raises(
        ImportError, match=r'here: mmcv 2\.4\.0 is installed \(needs >=2\.0\.0, <2\.4\.0\)\.'
    ):
        versions.check_versions()


def test_import_works_with_pycocotools_and_a_new_transformers(tmp_path):
    """mmpretrain then tries to import its multimodal models, which fails without the patch."""
    pytest.importorskip('transformers', minversion='4.57')
    metadata = tmp_path / 'pycocotools-2.0.11.dist-info' / 'METADATA'
    metadata.parent.mkdir()
    metadata.write_text('Metadata-Version: 2.1\nName: pycocotools\nVersion: 2.0.11\n')
    code = (
        'from importlib.metadata import version; import fvgpt; '
        'print(version("pycocotools"), fvgpt.MODELS.get("CoOp"))'
    )
    done = run_tool('-c', code, cwd=tmp_path, env=dict(PYTHONPATH=str(tmp_path)))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == '2.0.11' and 'fvgpt.tuners.coop' in done.stdout


def test_full_mmcv_takes_precedence_over_mmcv_lite(monkeypatch):
    install(monkeypatch, {'mmcv': '2.1.0', 'mmcv-lite': '2.2.0'})
    assert versions._installed('mmcv') == '2.1.0'
    requirements = (ROOT / 'requirements' / 'runtime.txt').read_text()
    assert 'mmcv' not in requirements, 'installing fvgpt must not replace a full mmcv'


@pytest.mark.parametrize('core', [b'numpy.core', b'numpy._core'])
def test_checkpoints_of_other_openmmlab_runs_can_be_read(tmp_path, core):
    """Including those written with numpy 1, whose modules had other names."""
    from mmengine.logging import HistoryBuffer

    hub = dict(
        log_scalars=dict(loss=HistoryBuffer([1.0, 2.0], [1, 1])),
        runtime_info=dict(eta=np.float64(3.0)),
    )
    torch.save(dict(message_hub=hub), tmp_path / 'here.pth')
    with (
        zipfile.ZipFile(tmp_path / 'here.pth') as here,
        zipfile.ZipFile(tmp_path / 'other.pth', 'w') as other,
    ):
        for name in here.namelist():
            text, count = re.subn(rb'numpy\._?core\b', core, here.read(name))
            assert count == 2 * name.endswith('data.pkl')
            other.writestr(name, text)
    read = torch.load(tmp_path / 'other.pth', weights_only=True)['message_hub']
    assert (read['log_scalars']['loss'].mean(), read['runtime_info']['eta']) == (1.5, 3.0)


class Reach:
    """Pickles as a call of getattr on an object that is not MMEngine's HistoryBuffer."""

    def __reduce__(self):
        return getattr, (torch.nn.Parameter, '__class__')


def test_the_safe_globals_allow_nothing_else(tmp_path):
    torch.save(Reach(), tmp_path / 'reach.pth')
    with pytest.raises(Exception, match=r'refused|Unsupported'):
        torch.load(tmp_path / 'reach.pth', weights_only=True)


def test_python_is_new_enough():
    assert sys.version_info >= (3, 10)
