"""Files are written completely or not at all, and a failure is explained."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fvgpt.analysis.tables import write_file
from fvgpt.engine.feature_cache import FeatureCache
from fvgpt.io.atomic_write import atomic_write
from fvgpt.io.json_file import write_json
from fvgpt.segmentation.mask_file import write_mask


def write_text(path):
    with atomic_write(path) as partial:
        partial.write_text('new')


WRITERS = dict(
    text=write_text,
    json=lambda path: write_json(path, {'a': 1}),
    table=lambda path: write_file(path, b'new'),
    mask=lambda path: write_mask(path, np.ones((4, 4), np.float32), {}),
)


@pytest.fixture
def full_disk(monkeypatch):
    """Make every write of this process fail after two bytes, as on a full disk."""

    def cut(write):
        def until_full(self, content, *rest, **options):
            with open(self if isinstance(self, (str, Path)) else content, 'wb') as file:
                file.write(b'ab')
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        return until_full

    for owner, name in (
        (Path, 'write_text'),
        (Path, 'write_bytes'),
        (Image.Image, 'save'),
        (np, 'save'),
    ):
        monkeypatch.setattr(owner, name, cut(getattr(owner, name)))


@pytest.mark.parametrize('kind', WRITERS)
def test_on_a_full_disk_the_file_is_unchanged_and_the_error_names_the_remedy(
    tmp_path, full_disk, kind
):
    path = tmp_path / 'file.png'
    with open(path, 'w') as file:
        file.write('old')
    with pytest.raises(
        OSError,
        match=r'file\.png cannot be written \(No space left on device\): free some space, '
        'or choose',
    ):
        WRITERS[kind](path)
    assert path.read_text() == 'old' and os.listdir(tmp_path) == ['file.png']


@pytest.mark.parametrize('kind', WRITERS)
def test_a_file_is_replaced_completely(tmp_path, kind):
    path = tmp_path / 'file.png'
    path.write_text('old')
    WRITERS[kind](path)
    assert path.read_bytes() != b'old' and os.listdir(tmp_path) == ['file.png']


def test_on_a_full_disk_the_feature_cache_stays_empty(tmp_path, full_disk):
    with pytest.raises(
        OSError, match=r'cache/\w+ cannot be written \(No space left on device\): free some space'
    ):
        FeatureCache(tmp_path / 'cache').get({'of': 1}, lambda: {'full': np.zeros(3)})
    assert not [entry for entry in (tmp_path / 'cache').iterdir() if entry.is_dir()]


def test_a_folder_that_cannot_be_created_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(
        OSError,
        match=r'file/cache cannot be written \(.*\): make it writable, or choose another',
    ):
        FeatureCache(tmp_path / 'file' / 'cache')
