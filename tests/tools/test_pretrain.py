"""The script that made the embedded CLIP runs and resumes after a kill; the embedded CLIP is
valid."""

import shutil

import torch

from fvgpt.clip import QUICKSTART_CLIP, FrozenCLIP

from ..conftest import run_tool


def test_a_short_pretraining_writes_a_clip_that_loads(tmp_path):
    out = tmp_path / 'clip'
    out.mkdir()
    shutil.copy(QUICKSTART_CLIP / 'open_clip_config.json', out)
    arguments = [
        'tools/pretrain_quickstart_clip.py',
        '--work-dir',
        tmp_path / 'work',
        '--out',
        out,
        '--pool',
        1000,
        '--full-steps',
        1,
        '--batch-size',
        8,
        '--test-per-class',
        1,
    ]
    assert run_tool(*arguments, '--steps', 2).returncode == 0
    done = run_tool(*arguments, '--steps', 4)
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'step 4/4' in done.stdout and 'zero-shot' in done.stdout
    clip = FrozenCLIP(f'local-dir:{out}')
    assert clip.encode_image(torch.zeros(1, 3, 64, 64)).shape == (1, clip.embed_dim)
    assert (out / 'bpe.txt.gz').read_bytes() == (QUICKSTART_CLIP / 'bpe.txt.gz').read_bytes()


def test_the_embedded_clip_is_small_and_knows_its_words(quickstart_clip):
    assert sum(f.stat().st_size for f in QUICKSTART_CLIP.iterdir()) < 10_000_000
    assert quickstart_clip.context_length == 32 and quickstart_clip.image_size == 64
    one, other = quickstart_clip.encode_text(
        ['a photo of a plain red star.', 'a photo of a striped blue ring.']
    )
    assert torch.cosine_similarity(one, other, dim=0) < 0.9
