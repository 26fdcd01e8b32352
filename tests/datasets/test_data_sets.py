"""The public data sets: configs against the public split files, and the classes that read them."""

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmpretrain.datasets.categories import IMAGENET_SIMPLE_CATEGORIES
from PIL import Image

from fvgpt.clip import CUSTOM_TEMPLATES
from fvgpt.datasets import AircraftDataset, ClassFolderDataset, SplitFileDataset
from fvgpt.datasets.class_folder import imagenet_names
from fvgpt.datasets.completeness import DataSetCheck, load_data_sets
from fvgpt.engine.runner.config_parts import built_datasets
from fvgpt.registry import DATASETS

from ..conftest import ROOT

DATA_SETS = load_data_sets(ROOT / 'configs' / '_base_' / 'datasets')
# last base name, first new name, images of 16 shots of the base half
HALVES = dict(
    caltech101=('helicopter', 'ibis', 800),
    oxford_pets=('keeshond', 'leonberger', 304),
    stanford_cars=('1998 Eagle Talon Hatchback', '2012 FIAT 500 Abarth', 1568),
    oxford_flowers=('petunia', 'wild pansy', 816),
    dtd=('marbled', 'matted', 384),
    eurosat=('Industrial Buildings', 'Pasture Land', 80),
    ucf101=('Long_Jump', 'Lunges', 816),
)


def build(config, **changes):
    return DATASETS.build(dict(config, **dict(dict(pipeline=[], serialize_data=False), **changes)))


def touch(*paths: Path):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


# ------------------------------------------------------------------ configs
def test_every_data_set_with_a_template_has_a_config():
    assert {config.facts.title for config in DATA_SETS.values()} == set(CUSTOM_TEMPLATES)
    for config in DATA_SETS.values():
        for dataset in [config.test_dataset, *built_datasets(config)]:
            assert dataset.metainfo.dataset_name == config.facts.title
        assert config.test_dataset.split == 'test' and 'subset' not in config.test_dataset
        assert all(url is None or url.startswith('http') for url in config.facts.published.values())


@pytest.mark.parametrize(
    'name, layout', [*((name, 'archives') for name in HALVES), ('dtd', 'coop')]
)
def test_configs_agree_with_the_public_split_files(name, layout, splits, tmp_path):
    config = DATA_SETS[name]
    given, facts = config.test_dataset, config.facts
    place = tmp_path / given.archive if layout == 'archives' else tmp_path
    (place / given.img_dir).mkdir(parents=True)
    content = (splits / Path(given.split_file).name).read_bytes()
    (place / given.split_file).write_bytes(content)
    last_base, first_new, images = HALVES[name]
    where = dict(data_root=str(tmp_path), layout=layout)
    training = build(config.train_dataloader.dataset, **where)
    assert len(training) == images and training.metainfo['classes'][-1] == last_base
    halves = [build(dataset, **where) for dataset in built_datasets(config, ['test'])]
    assert [len(half) for half in halves] == [facts.test_base, facts.test_new]
    assert halves[1].metainfo['classes'][0] == first_new
    assert halves[1].metainfo['dataset_name'] == facts.title
    whole = build(given, **where)
    assert (len(whole), len(whole.metainfo['classes'])) == (facts.test, facts.classes)
    image = json.loads(content)['test'][0][0]
    assert whole.get_data_info(0)['img_path'] == str(place / given.img_dir / image)
    report = DataSetCheck(
        config, str(tmp_path), layout
    ).run()  # numbers and md5 sum are right, images are absent
    assert list(report.files) == ['absent'] and len(report.problems) == 1


def test_masks_of_the_archives_are_in_the_archive(tmp_path):
    config = DATA_SETS['fgvc_aircraft'].train_dataloader.dataset
    place = tmp_path / 'fgvc_aircraft' / 'fgvc-aircraft-2013b'
    write_aircraft(place)
    for image in (place / 'fgvc_aircraft' / 'images').iterdir():
        mask = place / 'mask' / 'fgvc_aircraft' / 'images' / image.name
        mask.parent.mkdir(parents=True, exist_ok=True)
        Image.new('L', (4, 4), 255).save(mask)
    info = build(
        config, data_root=str(tmp_path), layout='archives', mask_root='mask'
    ).get_data_info(0)
    assert info['mask_path'] == info['img_path'].replace(str(place), str(place / 'mask'))
    with pytest.raises(
        FileNotFoundError,
        match="fgvc-aircraft-2013b does not exist: data_root must be .*'archives'",
    ):
        build(config, data_root=str(place), layout='archives')
    with pytest.raises(ValueError, match='layout must be one of coop, archives'):
        build(config, data_root=str(tmp_path), layout='zip')


def test_imagenet_has_no_validation_list(tmp_path):
    touch(
        *(tmp_path / 'imagenet/images' / split / 'n01440764/a.JPEG' for split in ('train', 'val'))
    )
    with pytest.raises(ValueError, match="no folder for the split 'val'"):
        build(DATA_SETS['imagenet'].train_dataloader.dataset, data_root=str(tmp_path), split='val')
    with pytest.raises(ValueError, match='val has 1 class folders, expected 1000'):
        build(DATA_SETS['imagenet'].test_dataset, data_root=str(tmp_path))


# ------------------------------------------------------------------ aircraft
def write_aircraft(root):
    folder = root / 'fgvc_aircraft'
    (folder / 'images').mkdir(parents=True)
    (folder / 'variants.txt').write_text('F/A-18\n707-320\nCessna 525\n')
    for number, split in enumerate(('train', 'val', 'test')):
        (folder / f'images_variant_{split}.txt').write_text(
            ''.join(
                f'{number}{i} {name}\n'
                for i, name in enumerate(['Cessna 525', '707-320', 'F/A-18', '707-320'])
            )
        )
        touch(*(folder / 'images' / f'{number}{i}.jpg' for i in range(4)))


def test_aircraft_labels_follow_the_lines_of_the_variants(tmp_path):
    write_aircraft(tmp_path)
    test = AircraftDataset(str(tmp_path), split='test', serialize_data=False)
    assert test.metainfo['classes'] == ('F/A-18', '707-320', 'Cessna 525')
    assert [(Path(info['img_path']).name, info['gt_label']) for info in test.load_data_list()] == [
        ('20.jpg', 2),
        ('21.jpg', 1),
        ('22.jpg', 0),
        ('23.jpg', 1),
    ]
    assert len(AircraftDataset(str(tmp_path), num_shots=1, subset='base')) == 2


@pytest.mark.parametrize(
    'break_it, error, message',
    [
        (
            lambda folder: (folder / 'variants.txt').unlink(),
            FileNotFoundError,
            r'variants\.txt does not exist: list_dir',
        ),
        (
            lambda folder: (folder / 'images_variant_test.txt').write_text('1 MiG-21\n'),
            ValueError,
            "the line '1 MiG-21'",
        ),
        (
            lambda folder: (folder / 'images_variant_test.txt').write_text('../../x F/A-18\n'),
            ValueError,
            'must be relative',
        ),
    ],
)
def test_invalid_aircraft_lists_are_named(tmp_path, break_it, error, message):
    write_aircraft(tmp_path)
    break_it(tmp_path / 'fgvc_aircraft')
    with pytest.raises(error, match=message):
        AircraftDataset(str(tmp_path), split='test')


# ------------------------------------------------------------------ ImageNet's folders
def test_imagenet_folders_are_named_by_wnid_or_by_number(tmp_path):
    names = imagenet_names(['n01440764', 'n01443537', '0', '1', '999', 'n15075141'], tmp_path)
    assert names == ['tench', 'goldfish', 'tench', 'goldfish', 'toilet paper', 'toilet paper']
    with pytest.raises(
        ValueError, match="the folder 'n00000001', which is not a class of ImageNet"
    ):
        imagenet_names(['n01440764', 'n00000001'], tmp_path)


@settings(max_examples=6, deadline=None)
@given(st.sets(st.integers(0, 999), min_size=2, max_size=20))
def test_numeric_folders_are_sorted_by_value(tmp_path_factory, numbers):
    root = tmp_path_factory.mktemp('v2')
    touch(root / 'README.txt', *(root / str(number) / 'image.jpeg' for number in numbers))
    data = ClassFolderDataset(
        str(root),
        folders=dict(test=''),
        split='test',
        class_names='imagenet',
        num_classes=len(numbers),
    )
    assert data.metainfo['classes'] == tuple(
        IMAGENET_SIMPLE_CATEGORIES[number] for number in sorted(numbers)
    )


def test_splits_with_different_class_folders_are_refused(tmp_path):
    touch(
        tmp_path / 'train/a/1.png',
        tmp_path / 'train/b/1.png',
        tmp_path / 'test/a/1.png',
        tmp_path / 'test/c/1.png',
    )
    with pytest.raises(
        ValueError,
        match=r"train and .*test must have the same class folders; 'b' is in one of them only",
    ):
        ClassFolderDataset(str(tmp_path), folders=dict(train='train', test='test'))


# ------------------------------------------------------------------ caching
def test_a_split_file_is_read_once_and_then_released(tmp_path, monkeypatch):
    (tmp_path / 'images').mkdir()
    text = json.dumps(
        dict(
            train=[[f'{i}.jpg', i % 4, 'abcd'[i % 4]] for i in range(300)], test=[['t.jpg', 0, 'a']]
        )
    )
    (tmp_path / 'split.json').write_text(text)
    reads = []
    monkeypatch.setattr(
        json, 'loads', lambda text, loads=json.loads: reads.append(len(text)) or loads(text)
    )
    data = SplitFileDataset(str(tmp_path), 'split.json', 'images', num_shots=2, subset='base')
    assert reads == [len(text)] and len(data) == 4
    assert len(pickle.dumps(data)) < len(text) / 2


# ------------------------------------------------------------------ the guide
def test_the_table_of_the_guide_states_the_facts():
    rows = [
        line.split(' | ')
        for line in (ROOT / 'docs' / 'datasets.md').read_text().splitlines()
        if line.startswith('| `')
    ]
    assert {cells[0].strip('|` ') for cells in rows} == set(DATA_SETS)
    backgrounds = [cells for cells in rows if len(cells) == 5]
    for name, title, classes, images, place in backgrounds:
        facts, given = DATA_SETS[name.strip('|` ')].facts, DATA_SETS[name.strip('|` ')].test_dataset
        assert (title, classes, images) == (facts.title, f'{facts.classes:,}', f'{facts.test:,}')
        assert place.strip('|` ') == given.get('img_dir', given.get('list_file'))
    rows = [cells for cells in rows if cells not in backgrounds]
    for name, title, classes, images, halves, shots, folder, split_file, archive in rows:
        facts, given = DATA_SETS[name.strip('|` ')].facts, DATA_SETS[name.strip('|` ')].test_dataset
        assert (
            title == facts.title
            and classes.startswith(f'{facts.classes:,}')
            and images.endswith(f'{facts.test:,}')
        )
        assert folder.strip('`').startswith(given.img_dir) and archive.strip('` |') == given.get(
            'archive', '-'
        )
        if 'train' in facts:
            assert images.startswith(
                f'{facts.train:,} / {facts.val:,}' if 'val' in facts else f'{facts.train:,} / -'
            )
            assert shots == f'{16 * ((facts.classes + 1) // 2):,}'
        if 'test_base' in facts:
            assert halves == f'{facts.test_base:,} / {facts.test_new:,}'
        if 'split_file' in given:
            assert split_file == f'`{given.split_file}`'
