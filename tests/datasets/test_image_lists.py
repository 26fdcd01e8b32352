"""Lists of images have a maximum size and cannot leave the data root."""

import json
import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fvgpt.datasets import AircraftDataset, ListFileDataset, SplitFileDataset
from fvgpt.datasets.image_lists import check_relative, read_lists
from fvgpt.io import text_file

PARTS = st.lists(
    st.sampled_from(['..', '.', '', 'a', 'b c', '~', 'C:', '\\', '\0', '...', '..a', '%2e%2e']),
    min_size=1,
)


@given(PARTS.map('/'.join))
@example('/etc/passwd')
@example('a/../../b')
def test_accepted_paths_stay_inside_the_root(path):
    try:
        accepted = check_relative(path, 'list.json')
    except ValueError as error:
        assert str(error).startswith('list.json lists the image ')
        return
    assert os.path.normpath(f'/root/{accepted}').startswith('/root')
    assert '..' not in accepted.split('/') and '\0' not in accepted


@pytest.fixture
def root(tmp_path):
    """A data root next to an image that no list may contain."""
    (tmp_path / 'secret.png').write_bytes(b'x')
    (tmp_path / 'data' / 'images').mkdir(parents=True)
    return tmp_path / 'data'


ESCAPES = ['../secret.png', 'images/../../secret.png', '{outside}/secret.png']


@pytest.mark.parametrize('path', ESCAPES)
@pytest.mark.parametrize('kind', ['split', 'csv image', 'csv mask', 'subset', 'aircraft'])
def test_no_list_can_leave_the_data_root(kind, path, root):
    path = path.format(outside=root.parent)
    entry = [[path, 0, 'cat'], ['b.png', 1, 'dog']]
    fine = [['images/a.png', 0, 'cat'], ['images/b.png', 1, 'dog']]
    (root / 'split.json').write_text(
        json.dumps(dict(train=entry if kind == 'split' else fine, test=fine))
    )
    (root / 'subset.json').write_text(json.dumps(dict(train=entry, val=[])))
    rows = (
        '{},cat,\nb.png,dog,\n' if kind == 'csv image' else 'a.png,cat,{}\nb.png,dog,\n'
    ).format(path)
    (root / 'list.csv').write_text(f'image,class,mask\n{rows}')
    (root / 'variants.txt').write_text('cat\ndog\n')
    for split in ('train', 'val', 'test'):
        (root / f'images_variant_{split}.txt').write_text(f'{path} cat\n')
    makers = {
        'split': lambda: SplitFileDataset(str(root), 'split.json', ''),
        'csv image': lambda: ListFileDataset(str(root), 'list.csv'),
        'csv mask': lambda: ListFileDataset(str(root), 'list.csv'),
        'subset': lambda: SplitFileDataset(
            str(root), 'split.json', '', subset_file=str(root / 'subset.json')
        ),
        'aircraft': lambda: AircraftDataset(str(root), list_dir='', img_dir='images'),
    }
    with pytest.raises(ValueError, match='paths must be relative and stay inside the image folder'):
        makers[kind]()


@pytest.mark.parametrize('label', [True, -1, 1.5, '1', None, [1]])
def test_labels_are_whole_numbers_from_0(label, tmp_path):
    (tmp_path / 'split.json').write_text(json.dumps(dict(train=[['a.png', label, 'cat']])))
    with pytest.raises(
        ValueError,
        match=r'split\.json has the entry .* in .train.; expected \[path, label, class name\]',
    ):
        read_lists(tmp_path / 'split.json', ['train'])


@pytest.mark.parametrize(
    'content, message',
    [
        ('[' * 100_000, 'nested too deeply'),
        ('{"train": [', 'is not valid JSON'),
        (b'\xff\xfe', 'is not UTF-8 text'),
        ('{"train": [["a.png", ' + '1' * 5000 + ', "cat"]]}', r'split\.json'),
        ('', 'is not valid JSON'),
    ],
)
def test_invalid_lists_are_named(content, message, tmp_path):
    path = tmp_path / 'split.json'
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as error:
        read_lists(path, ['train'])
    assert 'split.json' in str(error.value)


def test_a_list_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(text_file, 'MAX_BYTES', 10)
    (tmp_path / 'split.json').write_text('{"train": []}')
    with pytest.raises(ValueError, match=r'split\.json has .* GB; a text file of at most'):
        read_lists(tmp_path / 'split.json', ['train'])
