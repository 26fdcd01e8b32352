"""Files of few-shot subsets: the same images as a draw, and refused by other data sets."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import ConfigDict

from fvgpt.datasets import SplitFileDataset
from fvgpt.datasets.few_shot_subsets import subset_files, write_new
from fvgpt.registry import DATASETS

from ..conftest import run_tool

CLASSES = ['ant', 'bee', 'cat', 'dog', 'elk']


def write_set(root, counts):
    split = {
        part: [
            [f'{name}/{part}{i}.png', label, name]
            for label, name in enumerate(CLASSES)
            for i in range(count)
        ]
        for part, count in counts.items()
    }
    for path, _, _ in (entry for entries in split.values() for entry in entries):
        (root / 'images' / path).parent.mkdir(parents=True, exist_ok=True)
        (root / 'images' / path).touch()
    (root / 'split.json').write_text(json.dumps(split))
    return ConfigDict(
        type='SplitFileDataset',
        data_root=str(root),
        split_file='split.json',
        img_dir='images',
        subset='base',
        num_shots=16,
        mask_root='mask',
        metainfo=dict(dataset_name='Insects'),
    )


def images(config, **changes):
    dataset = DATASETS.build(
        dict(config, mask_root=None, pipeline=[], serialize_data=False, **changes)
    )
    return [(info['img_path'], info['gt_label']) for info in dataset.load_data_list()]


@pytest.fixture
def insects(tmp_path):
    return write_set(tmp_path, dict(train=6, val=5, test=2))


@pytest.fixture
def subset(insects, tmp_path):
    """The file of 3 shots, seed 1."""
    write_new(subset_files(insects, [3], [1], tmp_path / 'out'))
    return tmp_path / 'out' / 'Insects' / 'shot_3-seed_1.json'


@settings(max_examples=15, deadline=None)
@given(
    shots=st.integers(1, 6),
    seed=st.integers(0, 99),
    which=st.sampled_from(['all', 'base', 'new']),
    split=st.sampled_from(['train', 'val']),
)
def test_a_written_subset_equals_the_drawn_one(tmp_path_factory, shots, seed, which, split):
    root = tmp_path_factory.mktemp('set')
    config = write_set(root, dict(train=6, val=5, test=2))
    files = subset_files(config, [shots], [seed], root / 'out')
    write_new(files)
    chosen = dict(split=split, subset=which, num_shots=shots)
    assert images(config, **chosen, subset_file=str(next(iter(files)))) == images(
        config, **chosen, seed=seed
    )


@pytest.mark.parametrize(
    'name, title',
    [
        ('caltech101', 'Caltech101'),
        ('dtd', 'DescribableTextures'),
        ('oxford_pets', 'OxfordPets'),
        ('stanford_cars', 'StanfordCars'),
    ],
)
def test_files_of_the_public_splits_list_the_public_subsets(name, title, parity, splits, tmp_path):
    content = (splits / f'split_zhou_{title}.json').read_bytes()
    (tmp_path / 'images').mkdir()
    (tmp_path / 'split.json').write_bytes(content)
    config = ConfigDict(
        type='SplitFileDataset', data_root=str(tmp_path), split_file='split.json', img_dir='images'
    )
    public = json.loads(content)
    with np.load(parity / 'common' / 'fewshot_indices.npz') as file:
        for path, text in subset_files(config, [1, 16], [1, 2, 3], tmp_path).items():
            shots, seed = (int(part.split('_')[1]) for part in path.stem.split('-'))
            for split, entries in json.loads(text).items():
                expected = [
                    public[split][i]
                    for i in file[f'{name}.shot{shots}.seed{seed}.all.{split}_index']
                ]
                assert entries == [
                    [f'images/{image}', label, class_name] for image, label, class_name in expected
                ]


@pytest.mark.parametrize(
    'change, message',
    [
        (
            lambda c: [c['train'][0].__setitem__(2, 'wasp')],
            "belongs to another data set: .* has label 0 for 'wasp', which is 'ant'",
        ),
        (lambda c: [c['val'][0].__setitem__(1, 7)], "has label 7 for 'ant', which is None"),
        (
            lambda c: c['train'].append(list(c['train'][0])),
            'has 4 images per class, num_shots is 3; set num_shots=4',
        ),
        (
            lambda c: c['train'].__setitem__(1, list(c['train'][0])),
            r"lists images/ant/train\d\.png 2 times in 'train'",
        ),
        (
            lambda c: c['train'][0].__setitem__(0, 'images/ant/none.png'),
            r'ant/none\.png does not exist: subset_file must be',
        ),
        (lambda c: c['train'][0].__setitem__(0, '../secret.png'), 'paths must be relative'),
        (lambda c: c.pop('val'), "has no list 'val'"),
        (lambda c: c['train'].append('x.png'), "the entry 'x.png' in 'train'"),
    ],
)
def test_files_of_another_data_set_are_refused(insects, subset, change, message):
    content = json.loads(subset.read_text())
    change(content)
    subset.write_text(json.dumps(content))
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        images(insects, split='train', num_shots=3, subset_file=str(subset))


def test_a_missing_file_is_named_at_once(insects):
    with pytest.raises(
        FileNotFoundError,
        match=r'none\.json does not exist: subset_file must be a file of tools/few_shot',
    ):
        SplitFileDataset(
            insects.data_root, 'split.json', 'images', subset_file='none.json', lazy_init=True
        )


def test_nothing_is_overwritten(insects, subset, tmp_path):
    before = subset.read_text()
    write_new(subset_files(insects, [3], [1], tmp_path / 'out'))  # the same content
    subset.write_text('mine')
    with pytest.raises(ValueError, match='exists and lists other images'):
        write_new(subset_files(insects, [1, 3], [1], tmp_path / 'out'))
    assert subset.read_text() == 'mine' != before and len(list(subset.parent.iterdir())) == 1


def test_data_sets_without_few_shot_subsets_are_named(insects, tmp_path):
    with pytest.raises(
        ValueError,
        match=r'a mmpretrain\.CustomDataset has no few-shot subsets; put it into a FewShotWrapper',
    ):
        subset_files(ConfigDict(type='mmpretrain.CustomDataset'), [1], [1], tmp_path)
    with pytest.raises(ValueError, match='at least one image per class, not 0'):
        subset_files(insects, [0], [1], tmp_path)


def test_the_command_writes_files_that_a_recipe_takes(tmp_path):
    few = [
        'train_dataloader.dataset.train_per_class=4',
        'train_dataloader.dataset.test_per_class=1',
        f'data_root={tmp_path}',
    ]
    done = run_tool(
        'tools/few_shot_subsets.py',
        'configs/fvgpt/coop_fvg_quickstart.py',
        '--shots',
        1,
        2,
        '--seeds',
        1,
        2,
        '--out',
        tmp_path / 'subsets',
        '--cfg-options',
        *few,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    files = sorted((tmp_path / 'subsets' / 'QuickstartWorld').iterdir())
    assert [path.name for path in files] == [
        f'shot_{k}-seed_{s}.json' for k in (1, 2) for s in (1, 2)
    ]
    assert all(str(path) in done.stdout for path in files)
    content = json.loads(files[-1].read_text())
    assert len(content['train']) == 80 and content['val'] == []
    config = dict(
        type='QuickstartWorld',
        data_root=str(tmp_path),
        train_per_class=4,
        test_per_class=1,
        num_shots=2,
    )
    assert (
        images(config, subset_file=str(files[-1]))
        == images(config, seed=2)
        != images(config, seed=1)
    )
    template = str(files[0].parent / 'shot_{num_shots}-seed_{seed}.json')
    for seed in (1, 2):
        assert images(config, subset_file=template, seed=seed) == images(config, seed=seed)
