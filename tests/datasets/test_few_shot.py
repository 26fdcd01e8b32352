"""Sampling, subsets, masks and errors of the data sets, on small temporary trees."""

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fvgpt.datasets import (
    ClassFolderDataset,
    FewShotWrapper,
    Sample,
    SplitFileDataset,
    sample_shots,
    subset_labels,
)
from fvgpt.names import Subset
from fvgpt.registry import DATASETS


# ------------------------------------------------------------------ sampling
@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(1, 16), st.integers(0, 5))
def test_shots_per_class_are_drawn_without_repetition(labels, shots, seed):
    samples = [Sample(f'{i}.jpg', label) for i, label in enumerate(labels)]
    drawn = sample_shots(samples, shots, random.Random(seed))
    assert len(set(drawn)) == len(drawn) and set(drawn) <= set(samples)
    for label in set(labels):
        assert sum(s.label == label for s in drawn) == min(shots, labels.count(label))
    assert list(dict.fromkeys(s.label for s in drawn)) == list(dict.fromkeys(labels))
    assert drawn == sample_shots(samples, shots, random.Random(seed))


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 300), min_size=1, max_size=60))
def test_base_and_new_labels_are_a_partition(labels):
    base, new = subset_labels(list(labels), 'base'), subset_labels(list(labels), 'new')
    assert base + new == sorted(labels) == subset_labels(list(labels), 'all')
    assert len(base) - len(new) in (0, 1)


# ------------------------------------------------------------------ a split file on disk
CLASSES = ['ant', 'bee', 'cat', 'dog', 'elk']


def write_image(path, size=(8, 6)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', size, (10, 20, 30)).save(path)


@pytest.fixture
def root(tmp_path):
    split = dict(train=[], val=[], test=[])
    for part, count in (('train', 4), ('val', 2), ('test', 3)):
        for label, name in enumerate(CLASSES):
            for i in range(count):
                split[part].append([f'{name}/{part}{i}.png', label, name])
                write_image(tmp_path / 'set' / 'images' / f'{name}/{part}{i}.png')
                if part == 'train':
                    write_image(tmp_path / 'mask' / 'set' / 'images' / f'{name}/{part}{i}.png')
    (tmp_path / 'set' / 'split.json').write_text(json.dumps(split))
    return tmp_path


def dataset(root, **kwargs):
    return SplitFileDataset(
        **dict(
            dict(data_root=str(root), split_file='set/split.json', img_dir='set/images'), **kwargs
        )
    )


def test_a_subset_is_relabelled_and_named_in_the_metainfo(root):
    new = dataset(root, subset='new', split='test')
    assert new.metainfo['classes'] == ('dog', 'elk')
    assert (new.metainfo['subset'], new.metainfo['branch']) == ('new', 'new')
    assert sorted(set(new.get_gt_labels())) == [0, 1] and len(new) == 6
    assert dataset(root).metainfo['branch'] == 'base'
    assert dataset(root, metainfo=dict(branch='new')).metainfo['branch'] == 'new'


def test_metainfo_is_plain_since_checkpoints_contain_it(root):
    for data in (dataset(root), dataset(root, subset=Subset.NEW)):
        assert {type(data.metainfo[key]) for key in ('subset', 'branch')} == {str}


def test_base_images_are_those_drawn_for_all_classes(root):
    drawn = {
        s: {i['img_path'] for i in dataset(root, subset=s, num_shots=2, seed=5).load_data_list()}
        for s in ('all', 'base', 'new')
    }
    assert drawn['base'] | drawn['new'] == drawn['all'] and len(drawn['all']) == 10


def test_masks_have_the_paths_of_their_images(root):
    for info in dataset(root, num_shots=2, mask_root='mask').load_data_list():
        assert info['mask_path'] == info['img_path'].replace(str(root), str(root / 'mask'))


def test_missing_masks_are_an_error_or_counted(root, caplog):
    (root / 'mask/set/images/ant/train0.png').unlink()
    with pytest.raises(
        FileNotFoundError,
        match=r'1 of 20 foreground masks are missing, the first is .*ant/train0\.png',
    ):
        dataset(root, mask_root='mask')
    infos = dataset(root, mask_root='mask', missing_mask='full').load_data_list()
    assert [info['mask_path'] is None for info in infos].count(True) == 1


def test_masks_with_another_suffix(root):
    for path in (root / 'mask').rglob('*.png'):
        path.rename(path.with_suffix('.bmp'))
    infos = dataset(root, mask_root='mask', mask_suffix='.bmp').load_data_list()
    assert all(info['mask_path'].endswith('.bmp') for info in infos)


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(data_root='/nowhere'), r'/nowhere does not exist: data_root'),
        (dict(split_file='set/other.json'), r'other\.json does not exist: split_file'),
        (dict(img_dir='set/pictures'), r'pictures does not exist: img_dir'),
        (dict(mask_root='masks'), r'masks does not exist: mask_root'),
        (dict(split='training'), r'split must be one of'),
        (dict(subset='old'), r'subset must be one of'),
        (dict(num_shots=0), r'num_shots must be a whole number of at least 1'),
        (dict(missing_mask='skip'), r'missing_mask must be one of'),
    ],
)
def test_invalid_settings_are_named_before_anything_is_read(root, change, message):
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        dataset(root, lazy_init=True, **change)


@pytest.mark.parametrize(
    'content, message',
    [
        ('{', 'not valid JSON'),
        ('[]', "no list 'train'"),
        ('{"train": [], "test": [[1, 2]]}', r'entry \[1, 2\]'),
        ('{"train": [["a.png", 0, "ant"], ["b.png", 0, "bee"]], "test": []}', 'label 0 both'),
        (
            '{"train": [["../../etc/passwd", 0, "ant"]], "test": []}',
            'must be relative and stay inside',
        ),
        ('{"train": [["/etc/passwd", 0, "ant"]], "test": []}', 'must be relative and stay inside'),
    ],
)
def test_invalid_split_files_are_named(root, content, message):
    (root / 'set' / 'split.json').write_text(content)
    with pytest.raises(ValueError, match=message):
        dataset(root)


def test_a_subset_without_classes_or_images_is_an_error(root):
    (root / 'set' / 'split.json').write_text(
        '{"train": [["ant/train0.png", 0, "ant"]], "test": []}'
    )
    with pytest.raises(ValueError, match='at least two classes'):
        dataset(root, subset='new')
    with pytest.raises(ValueError, match="'test' has no images"):
        dataset(root, split='test')


# ------------------------------------------------------------------ class folders
def test_one_tree_is_always_split_the_same_way(root):
    kwargs = dict(data_root=str(root), img_dir='set/images', test_fraction=0.34)
    train, test = (ClassFolderDataset(split=split, **kwargs) for split in ('train', 'test'))
    paths = [{info['img_path'] for info in d.load_data_list()} for d in (train, test)]
    assert train.metainfo['classes'] == tuple(CLASSES)
    assert not paths[0] & paths[1] and len(paths[0] | paths[1]) == 45 and len(paths[1]) == 15


def test_one_folder_per_split_and_names_from_a_file(root):
    for part in ('train', 'val'):
        for label, wnid in enumerate(('n02', 'n01')):
            write_image(root / 'net' / part / wnid / f'{label}.JPG')
    (root / 'names.txt').write_text('n01 great white shark\nn02 tench\n')
    data = ClassFolderDataset(
        data_root=str(root),
        img_dir='net',
        folders=dict(train='train', test='val'),
        split='test',
        class_names='names.txt',
    )
    assert data.metainfo['classes'] == ('great white shark', 'tench')
    with pytest.raises(ValueError, match='no folder for the split'):
        ClassFolderDataset(
            data_root=str(root), img_dir='net', folders=dict(train='train'), split='test'
        )
    with pytest.raises(ValueError, match='2 class folders, expected 3'):
        ClassFolderDataset(
            data_root=str(root), img_dir='net', folders=dict(train='train'), num_classes=3
        )


def test_empty_and_single_image_classes_are_named(root):
    (root / 'set' / 'images' / 'fox').mkdir()
    with pytest.raises(ValueError, match='fox has no images'):
        ClassFolderDataset(data_root=str(root), img_dir='set/images')
    write_image(root / 'set' / 'images' / 'fox' / 'one.png')
    with pytest.raises(ValueError, match='only image of its class'):
        ClassFolderDataset(data_root=str(root), img_dir='set/images')


# ------------------------------------------------------------------ any mmpretrain data set
def test_a_data_set_of_mmpretrain_is_wrapped(root):
    inner = dict(
        type='mmpretrain.CustomDataset',
        data_root=str(root),
        data_prefix='set/images',
        with_label=True,
    )
    data = DATASETS.build(
        dict(type='FewShotWrapper', dataset=inner, data_root=str(root), subset='base', num_shots=3)
    )
    assert isinstance(data, FewShotWrapper)
    assert data.metainfo['classes'] == ('ant', 'bee', 'cat') and len(data) == 9
    with pytest.raises(ValueError, match='is outside data_root'):
        FewShotWrapper(inner, data_root=str(root / 'mask'))


def test_items_pass_through_the_pipeline(root):
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadForegroundMask'),
        dict(type='PackForegroundInputs'),
    ]
    item = dataset(root, mask_root='mask', pipeline=pipeline)[0]
    assert item['inputs'].shape == (3, 6, 8)
    assert np.array_equal(item['data_samples'].mask.numpy(), np.zeros((6, 8)))
