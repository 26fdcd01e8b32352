"""Small CLIPs and reference data that the tests share."""

import os

# Three workers share two cores (pytest -n 3, some wait): one thread for each and its commands.
os.environ.setdefault('OMP_NUM_THREADS', '1')

import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from safetensors.torch import save_file

import fvgpt  # noqa: F401  registers everything
from fvgpt.clip import FrozenCLIP

from .warm_python import run_warm

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get('FVGPT_SHARED', ROOT.parent / 'shared'))
TINY_CONFIG = dict(
    embed_dim=32,
    quick_gelu=True,
    vision_cfg=dict(image_size=32, layers=12, width=192, head_width=64, patch_size=8),
    text_cfg=dict(context_length=77, vocab_size=49408, width=128, heads=2, layers=12),
)


@pytest.fixture(autouse=True)
def mmengine_left_as_it_was(monkeypatch):
    """Reset MMEngine's default scope and logger, which Runners set for the whole process."""
    for kind in (DefaultScope, MMLogger):
        monkeypatch.setattr(kind, '_instance_dict', kind._instance_dict.copy())


def shared(path: str, what: str) -> Path:
    """A file or folder beside the project; the test is skipped if it does not exist."""
    place = SHARED / path
    if not place.exists():
        pytest.skip(f'{what} are not here: {place}')
    return place


@pytest.fixture(scope='session')
def parity() -> Path:
    """Golden arrays of the original implementations; skipped if their folder does not exist."""
    return shared('parity', 'the golden arrays')


@pytest.fixture(scope='session')
def splits() -> Path:
    """The public few-shot split files."""
    return shared('reference/splits', 'the public split files')


@pytest.fixture(scope='session')
def photographs() -> list:
    """Paths of small photographs of a hundred classes, the shorter side 144 pixels."""
    folder = shared('photos', 'the photographs')
    return sorted(folder.rglob('101_ObjectCategories/*/*.jpg'))


def write_clip_folder(folder: Path, config: dict) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'open_clip_config.json').write_text(json.dumps(dict(model_cfg=config)))
    return folder


@pytest.fixture(scope='session')
def tiny_clip(parity, tmp_path_factory) -> FrozenCLIP:
    """The CLIP that the golden arrays were computed with."""
    folder = write_clip_folder(tmp_path_factory.mktemp('tiny_clip'), TINY_CONFIG)
    with np.load(parity / 'tiny_clip.npz') as file:
        state = {
            k: torch.from_numpy(file[k].astype(np.float32))
            for k in file
            if k not in ('input_resolution', 'context_length', 'vocab_size')
        }
    save_file({k: v.contiguous() for k, v in state.items()}, folder / 'open_clip_model.safetensors')
    return FrozenCLIP(f'local-dir:{folder}')


@pytest.fixture(scope='session')
def random_clip_folder(tmp_path_factory) -> Path:
    """Folder of a CLIP with two layers per tower, for ``name='local-dir:...'`` and
    ``pretrained='random'``."""
    config = dict(
        TINY_CONFIG,
        embed_dim=16,
        vision_cfg=dict(image_size=32, layers=2, width=64, head_width=32, patch_size=8),
        text_cfg=dict(context_length=77, vocab_size=49408, width=64, heads=2, layers=2),
    )
    return write_clip_folder(tmp_path_factory.mktemp('random_clip'), config)


@pytest.fixture
def random_clip(random_clip_folder) -> FrozenCLIP:
    torch.manual_seed(0)
    return FrozenCLIP(f'local-dir:{random_clip_folder}', pretrained='random')


@pytest.fixture(scope='session')
def quickstart_clip() -> FrozenCLIP:
    return FrozenCLIP('quickstart')


def run_tool(*arguments, cwd=ROOT, env=None, timeout=300) -> subprocess.CompletedProcess:
    """Run a command of the project as a user would; returns stdout and stderr as text."""
    arguments = [str(a) for a in arguments]
    if str(arguments[0]).startswith('tools/') and env is None:
        return run_warm(arguments, cwd, timeout)
    command = arguments if arguments[0] == 'bash' else [sys.executable, *arguments]
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, 'PYTHON': sys.executable, **(env or {})},
        text=True,
        capture_output=True,
        timeout=timeout,
        check=False,
    )


def free_port() -> int:
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


@pytest.fixture(scope='session')
def real_features() -> Path:
    """CLIP's features of real photographs, with other names than ours (docs/features.md)."""
    return shared('real_features/coco_objects.safetensors', 'the features of photographs')
