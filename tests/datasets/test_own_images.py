"""A user's own images, given by data_root only: layouts, lists, masks and their errors."""

import csv
import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

from fvgpt.datasets import ClassFolderDataset, ListFileDataset, OwnImages, SplitFileDataset
from fvgpt.datasets.list_file import check_entries, read_list
from fvgpt.datasets.load_image import inspect_image
from fvgpt.engine.runner.image_size import fit_image_size, input_size
from fvgpt.engine.runner.recipe import load_recipe
from fvgpt.io.log_once import log_once
from fvgpt.registry import DATASETS

from ..conftest import ROOT, SHARED

CLASSES = ['ant', 'bee', 'cat']


def write_image(path: Path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', (8, 6), (10, 20, 30)).save(path)


def write_csv(path: Path, rows, delimiter=','):
    with open(path, 'w', newline='', encoding='utf-8') as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)


@pytest.fixture
def photos(tmp_path):
    """Ten images per class."""
    for name in CLASSES:
        for i in range(10):
            write_image(tmp_path / 'photos' / name / f'{i}.jpg')
    return tmp_path / 'photos'


@pytest.fixture
def said(monkeypatch):
    """The messages that are logged, as in a new process."""
    messages = []
    log_once.cache_clear()
    monkeypatch.setattr('fvgpt.io.log_once.print_log', lambda message, *_: messages.append(message))
    return messages


def found(root, split='train', **kwargs):
    """Image (and mask) paths relative to the root, and labels."""
    data = DATASETS.build(
        dict(type='OwnImages', data_root=str(root), split=split, lazy_init=True, **kwargs)
    )
    base = root if Path(root).is_dir() else Path(root).parent
    return {
        Path(info['img_path']).relative_to(base).as_posix(): info for info in data.load_data_list()
    }, data


# ------------------------------------------------------------------ layouts
def test_one_tree_of_class_folders_is_always_split_the_same_way(photos, said):
    train, data = found(photos)
    test, _ = found(photos, 'test')
    assert data.metainfo['classes'] == tuple(CLASSES) and data.metainfo['branch'] == 'base'
    assert len(train) == 21 and len(test) == 9 and not set(train) & set(test)
    assert train == found(photos)[0]
    assert said == [f'{photos}: class folders, 3 classes, 21 training and 9 test images']


@pytest.mark.parametrize('test', ['test', 'Test', 'val', 'valid', 'validation'])
def test_one_folder_per_split(photos, test):
    (photos.parent / 'split').mkdir()
    photos.rename(photos.parent / 'split' / 'train')
    for name in CLASSES:
        write_image(photos.parent / 'split' / test / name / 'x.png')
    assert len(found(photos.parent / 'split')[0]) == 30
    assert set(found(photos.parent / 'split', 'test')[0]) == {
        f'{test}/{name}/x.png' for name in CLASSES
    }


def test_train_and_test_must_have_the_same_classes(photos):
    for name in ('ant', 'bee'):
        write_image(photos.parent / 'split' / 'test' / name / 'x.png')
    photos.rename(photos.parent / 'split' / 'train')
    with pytest.raises(
        ValueError, match="must have the same class folders; 'cat' is in one of them only"
    ):
        found(photos.parent / 'split')


def listing(photos):
    return sorted(p.relative_to(photos).as_posix() for p in photos.rglob('*.jpg'))


def as_csv(photos, delimiter=','):
    rows = [[path.split('/')[0], 'x', path] for path in listing(photos)]
    write_csv(photos / 'list.csv', [['class', 'note', 'image'], *rows], delimiter)


def as_json(photos):
    rows = [{'image': p, 'class': p.split('/')[0], 'size': 3} for p in reversed(listing(photos))]
    (photos / 'list.json').write_text(json.dumps(rows))


@pytest.mark.parametrize(
    'write',
    [as_csv, as_json, lambda p: as_csv(p, ';'), lambda p: as_csv(p, '\t')],
    ids=['csv', 'json', 'semicolons', 'tabs'],
)
def test_a_list_of_a_tree_is_split_like_the_tree(photos, write):
    folders = {split: found(photos, split)[0] for split in ('train', 'test')}
    write(photos)
    path = next(photos.glob('list.*'))
    for root in (photos, path):
        for split in ('train', 'test'):
            assert found(root, split)[0] == folders[split]
    assert found(photos, 'test', subset='new')[1].metainfo['classes'] == ('cat',)


def test_a_list_with_splits_and_names_with_blanks(photos):
    rows = [
        [p, f'{p.split("/")[0]} the insect', 'Train' if '/0' in p or '/1' in p else 'val']
        for p in listing(photos)
    ]
    write_csv(photos / 'list.csv', [['\ufeffImage', ' class ', 'split'], *rows, []])
    train, data = found(photos)
    assert set(train) == {f'{name}/{i}.jpg' for name in CLASSES for i in range(2)}
    assert len(found(photos, 'test')[0]) == 24
    assert data.metainfo['classes'][0] == 'ant the insect'


def test_a_public_split_file_is_read_as_its_own_type_does(photos):
    split = dict(train=[], val=[], test=[])
    for number, path in enumerate(listing(photos)):
        name = path.split('/')[0]
        split['test' if number % 3 == 0 else 'train'].append([path, 9 - CLASSES.index(name), name])
    (photos / 'split.json').write_text(json.dumps(split))
    theirs = SplitFileDataset(
        data_root=str(photos),
        split_file='split.json',
        img_dir='.',
        num_shots=2,
        seed=3,
        lazy_init=True,
    )
    infos = theirs.load_data_list()
    data, own = found(photos, num_shots=2, seed=3)
    assert own.metainfo['classes'] == theirs.metainfo['classes'] == ('cat', 'bee', 'ant')
    assert list(data.values()) == [
        dict(info, img_path=str(Path(info['img_path']))) for info in infos
    ]


def test_shots_subsets_seeds_and_worker_processes(photos):
    base, data = found(photos, subset='base', num_shots=3, seed=2)
    assert len(base) == 6 and set(base) < set(found(photos, subset='base')[0])
    assert set(base) != set(found(photos, subset='base', num_shots=3, seed=4)[0])
    data.full_init()
    twin = pickle.loads(pickle.dumps(data))
    assert twin.metainfo == data.metainfo
    assert [twin.get_data_info(i)['img_path'] for i in range(6)] == [
        info['img_path'] for info in base.values()
    ]


# ------------------------------------------------------------------ masks
@pytest.mark.parametrize('folder, suffix', [('mask', '.jpg'), ('masks', '.png'), ('Masks', '.png')])
def test_a_mask_folder_next_to_the_class_folders_is_not_a_class(photos, said, folder, suffix):
    for path in listing(photos):
        write_image(photos / folder / Path(path).with_suffix(suffix))
    train, data = found(photos, mask_root='auto')
    assert data.metainfo['classes'] == tuple(CLASSES)
    assert all(
        info['mask_path'] == str(photos / folder / Path(path).with_suffix(suffix))
        for path, info in train.items()
    )
    assert f'{photos}: foreground masks of 21 of 21 train images' in said
    assert 'mask_path' not in next(iter(found(photos)[0].values()))


def test_without_masks_training_continues_and_one_warning_is_logged(photos, said):
    for _ in range(2):
        assert all(
            info['mask_path'] is None for info in found(photos, mask_root='auto')[0].values()
        )
    told = [message for message in said if 'no foreground mask' in message]
    assert len(told) == 1 and 'full view only' in told[0]
    assert f'tools/generate_foreground.py {photos} --out {photos / "mask"}' in told[0]
    with pytest.raises(FileNotFoundError, match='no train image has a foreground mask'):
        found(photos, mask_root='auto', missing_mask='error')


def test_some_masks_are_counted(photos, said):
    kept = sorted(found(photos)[0])[:5]
    for path in kept:
        write_image(photos / 'mask' / path)
    train, _ = found(photos, mask_root='auto')
    assert sorted(path for path, info in train.items() if info['mask_path']) == kept
    assert any(
        'masks of 5 of 21 train images; without a mask, the whole image counts' in line
        for line in said
    )


def test_a_mask_folder_without_one_mask_is_an_error(photos):
    write_image(photos / 'mask' / 'ant_0.png')
    with pytest.raises(
        FileNotFoundError, match=r'no train image .*ant/\d\.jpg must be .*mask/ant/\d\.jpg'
    ):
        found(photos, mask_root='auto')
    with pytest.raises(FileNotFoundError, match='elsewhere does not exist: mask_root'):
        found(photos, mask_root='elsewhere')


def test_masks_of_the_list_come_before_those_of_the_folder(photos):
    rows = [
        [p, p.split('/')[0], f'drawn/{number}.png' if 'ant' in p else '']
        for number, p in enumerate(listing(photos))
    ]
    write_csv(photos / 'list.csv', [['image', 'class', 'mask'], *rows])
    for number in range(10):
        write_image(photos / 'drawn' / f'{number}.png')
    named = {image: str(photos / mask) if mask else None for image, _, mask in rows}
    train, _ = found(photos, mask_root='auto')
    assert {path: info['mask_path'] for path, info in train.items()} == {
        path: named[path] for path in train
    }
    for path in listing(photos):
        write_image(photos / 'masks' / path)
    train, _ = found(photos, mask_root='auto', missing_mask='error')
    assert all(
        info['mask_path'] == (named[path] or str(photos / 'masks' / path))
        for path, info in train.items()
    )


def test_a_list_by_itself_takes_its_masks_without_a_mask_root(photos):
    write_csv(
        photos / 'list.csv',
        [['image', 'class', 'mask'], *([p, p[0], f'{p}.png'] for p in listing(photos))],
    )
    kwargs = dict(data_root=str(photos.parent), list_file='photos/list.csv')
    with pytest.raises(
        FileNotFoundError,
        match=r'30 of 30 masks do not exist, the first is in line 2: .*ant/0\.jpg\.png',
    ):
        ListFileDataset(lazy_init=True, **kwargs)
    for path in listing(photos):
        write_image(photos / f'{path}.png')
    data = ListFileDataset(lazy_init=True, **kwargs)
    assert all(i['mask_path'] == i['img_path'] + '.png' for i in data.load_data_list())
    assert all(
        'mask_path' not in i
        for i in ListFileDataset(split='test', lazy_init=True, **kwargs).load_data_list()
    )


# ------------------------------------------------------------------ errors
GOOD = [
    ['image', 'class', 'split'],
    ['ant/0.jpg', 'ant', 'train'],
    ['ant/1.jpg', 'ant', 'test'],
    ['bee/0.jpg', 'bee', 'train'],
    ['bee/1.jpg', 'bee', 'test'],
]


@pytest.mark.parametrize(
    'line, cells, message',
    [
        (
            1,
            ['file', 'label', 'split'],
            r"line 1: the header must have the columns image and class.* it has 'file', 'label'",
        ),
        (2, ['', 'ant', 'train'], r'line 2: image is empty'),
        (3, ['ant/1.jpg', ' ', 'test'], r'line 3: class is empty'),
        (4, ['bee/0.jpg', 'bee', ''], r'line 4: split is empty'),
        (4, ['bee/0.jpg', 'bee', 'holdout'], r"line 4: the split 'holdout' is not one of"),
        (4, ['bee/0.jpg', 'bee'], r'line 4: 2 cells, but the header has 3'),
        (5, ['/etc/passwd', 'bee', 'test'], r'line 5.*/etc/passwd.*must be relative'),
        (5, ['../up.jpg', 'bee', 'test'], r'line 5.*must be relative'),
        (
            5,
            ['ant/0.jpg', 'bee', 'test'],
            r'line 5: ant/0\.jpg is listed again, first in line 2 and would be trained',
        ),
        (
            4,
            ['./ant/0.jpg', 'bee', 'train'],
            r'line 4: ant/0\.jpg is listed again, first in line 2; remove one',
        ),
        (4, ['cat/0.jpg', 'ant', 'train'], r"line 5: the class 'bee' has no training image"),
        (
            5,
            ['bee/x.jpg', 'bee', 'test'],
            r'1 of 2 images do not exist, the first is in line 5: .*bee/x\.jpg',
        ),
    ],
)
def test_an_invalid_line_is_named_before_training(photos, line, cells, message):
    rows = [list(row) for row in GOOD]
    write_csv(photos / 'list.csv', rows)
    assert len(found(photos)[0]) == 2
    rows[line - 1] = cells
    write_csv(photos / 'list.csv', rows)
    with pytest.raises((ValueError, FileNotFoundError), match=r'list\.csv.*' + message):
        for split in ('train', 'test'):
            OwnImages(data_root=str(photos), split=split, lazy_init=True)


@pytest.mark.parametrize(
    'name, content, message',
    [
        ('a.csv', '', 'it has nothing'),
        ('a.csv', 'image,class\n', 'lists no images'),
        ('a.csv', 'image,class\nant/0.jpg,ant\nant/1.jpg,ant\n', "one class, 'ant'"),
        (
            'a.csv',
            'image,class\nant/0.jpg,ant\nant/1.jpg,ant\nbee/0.jpg,bee\n',
            r'line 4: bee/0\.jpg is the only image',
        ),
        (
            'a.csv',
            'image,class,split\nant/0.jpg,ant,train\nbee/1.jpg,bee,train\n',
            "no image of the split 'test'",
        ),
        ('a.csv', 'image,class\nant/0.jpg,"ant\n' + 'x' * 140000, 'line 3: field larger'),
        ('a.csv', b'image,class\n\xff.jpg,ant\n', 'is not UTF-8 text'),
        ('a.json', '[{"image": "ant/0.jpg"', 'is not valid JSON'),
        ('a.json', '7', 'does not contain a list'),
        (
            'a.json',
            '[{"image": "ant/0.jpg", "class": 3}]',
            'entry 1: expected an object with texts',
        ),
        ('a.json', '[{"image": "ant/0.jpg"}]', 'entry 1: class is empty'),
        ('a.json', '["ant/0.jpg"]', 'entry 1: expected an object'),
        (
            'a.json',
            '[{"image": "ant/0.jpg", "class": "ant", "split": "train"}, '
            '{"image": "bee/0.jpg", "class": "bee"}]',
            'entry 2: give a split for every image or for none',
        ),
        ('a.json', '{"images": []}', "no list 'train'"),
        ('a.json', '{"train": [["ant/0.jpg", "ant"]]}', r"entry \['ant/0.jpg', 'ant'\]"),
        (
            'a.json',
            '{"train": [["ant/0.jpg", 0, "ant"], ["bee/0.jpg", 0, "bee"]]}',
            'entry 2 of "train": label 0 is called both',
        ),
    ],
)
def test_a_list_that_cannot_be_used_is_named(photos, name, content, message):
    (photos / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=rf'{name}.*{message}'):
        OwnImages(data_root=str(photos), lazy_init=True)


@pytest.mark.parametrize(
    'make, message',
    [
        (lambda root: None, 'photos does not exist: data_root must be one folder per class'),
        (
            lambda root: root.mkdir(),
            'photos has no class folders; data_root must be one folder per class',
        ),
        (lambda root: write_image(root / 'a.jpg'), 'photos has no class folders'),
        (lambda root: write_image(root / 'mask' / 'a.jpg'), 'photos has no class folders'),
        (
            lambda root: write_image(root / 'ant' / 'a.jpg'),
            "photos has one class, 'ant', and a classifier needs two",
        ),
        (lambda root: [(root / name).mkdir(parents=True) for name in CLASSES], 'ant has no images'),
        (
            lambda root: [write_image(root / name / 'a.jpg') for name in CLASSES],
            r'ant/a\.jpg is the only image of its class',
        ),
        (
            lambda root: [
                write_image(root / 'ant/a.png'),
                write_csv(root / 'a.csv', GOOD),
                write_csv(root / 'b.csv', GOOD),
            ],
            r'photos contains 2 lists: a\.csv, b\.csv',
        ),
    ],
)
def test_a_folder_that_cannot_be_used_is_named(tmp_path, make, message):
    make(tmp_path / 'photos')
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        OwnImages(data_root=str(tmp_path / 'photos'), lazy_init=True)


def test_files_that_are_not_lists_or_not_images(photos):
    with pytest.raises(ValueError, match=r'0\.jpg is not a list of images'):
        OwnImages(data_root=str(photos / 'ant' / '0.jpg'))
    test = sorted(found(photos, 'test')[0])[0]
    broken = photos / 'ant' / 'copy.jpg'
    (photos / test).unlink()
    Image.effect_noise((64, 64), 50).save(broken, 'PNG')
    whole = broken.read_bytes()
    for content, message in (
        (b'', 'images cannot be read, the first is .*copy.jpg; replace or remove'),
        (
            whole[: len(whole) // 2],
            'images cannot be read, the first is .*copy.jpg; replace or remove',
        ),
        (whole[:999] + whole[1999:], r'copy\.jpg cannot be read as an image'),
    ):
        inspect_image.cache_clear()
        broken.write_bytes(content)
        pipeline = [
            dict(type='LoadImageFromFile', imdecode_backend='pillow'),
            dict(type='PackInputs'),
        ]
        with pytest.raises(ValueError, match=message):
            for split in ('train', 'test'):
                list(OwnImages(data_root=str(photos), split=split, pipeline=pipeline))


# ------------------------------------------------------------------ properties
names = st.text(
    st.characters(
        codec='utf-8',
        exclude_categories=('Cc', 'Cs', 'Zs', 'Zl', 'Zp'),
        exclude_characters='\ufeff',
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(names, st.sampled_from(['train', 'test'])), min_size=1, max_size=12))
def test_csv_and_json_give_the_same_for_any_class_names(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp('lists')
    rows = [(f'{number}.jpg', name, split) for number, (name, split) in enumerate(rows)]
    write_csv(folder / 'a.csv', [('image', 'class', 'split'), *rows])
    (folder / 'a.json').write_text(
        json.dumps([dict(zip(('image', 'class', 'split'), row)) for row in rows])
    )
    lists = [[entry[1:] for entry in read_list(folder / name)] for name in ('a.csv', 'a.json')]
    assert (
        lists[0] == lists[1]
        and [(image, name, split) for image, _, name, split, _ in lists[0]] == rows
    )


@settings(max_examples=60, deadline=None)
@given(
    content=st.one_of(st.text(max_size=200), st.binary(max_size=80)),
    suffix=st.sampled_from(['.csv', '.json']),
)
def test_any_other_content_is_a_value_error(tmp_path_factory, content, suffix):
    path = tmp_path_factory.mktemp('lists') / f'a{suffix}'
    path.write_bytes(content if isinstance(content, bytes) else content.encode('utf-8', 'replace'))
    with pytest.raises(ValueError, match=r'a\.(csv|json)'):
        check_entries(path, read_list(path))


# ------------------------------------------------------------------ in a recipe
def test_pipelines_take_the_size_of_the_clip():
    recipe = str(ROOT / 'configs' / 'fvgpt' / 'coop_fvg_custom.py')
    sizes = {}
    for name in ('ViT-B-16', 'ViT-L-14-336', 'quickstart'):
        config = load_recipe(recipe, {'clip.name': name})
        train, test = (
            config.train_dataloader.dataset.pipeline,
            config.test_dataloader.dataset.pipeline,
        )
        sizes[name] = {step.get('scale', step.get('crop_size')) for step in (*train, *test)} - {
            None
        }
    assert sizes == {'ViT-B-16': {224}, 'ViT-L-14-336': {336}, 'quickstart': {64}}
    assert input_size('no such clip') is None and input_size('hf-hub:somebody/something') is None
    own = Config(
        dict(
            image_size=224,
            clip=dict(name='quickstart'),
            pipeline=[dict(scale=(256, 224)), dict(crop_size=224)],
        )
    )
    fit_image_size(own, [own])
    assert [*own.pipeline[0].scale, own.pipeline[1].crop_size] == [73, 64, 64]


@pytest.mark.parametrize('options', [{}, {'clip.name': 'quickstart', 'clip.pretrained': None}])
def test_quickstart_recipes_keep_their_size(options):
    config = load_recipe(str(ROOT / 'configs' / 'fvgpt' / 'coop_fvg_quickstart.py'), options)
    assert {step.get('scale', 64) for step in config.train_dataloader.dataset.pipeline} == {64}


def test_real_photographs_with_masks_of_another_suffix():
    root = SHARED / 'photos' / 'caltech-101'
    if not root.is_dir():
        pytest.skip(f'the photographs are not here: {root}')
    data = DATASETS.build(
        dict(
            type='OwnImages',
            data_root=str(root / 'caltech-101' / '101_ObjectCategories'),
            num_shots=2,
            mask_root=str(root / 'mask' / 'caltech-101' / '101_ObjectCategories'),
            lazy_init=True,
        )
    )
    infos = data.load_data_list()
    assert len(data.metainfo['classes']) == 100 and len(infos) == 200
    assert all(
        Path(info['mask_path']).with_suffix('.jpg').name == Path(info['img_path']).name
        for info in infos
    )
    assert isinstance(data.source, ClassFolderDataset)


# ------------------------------------------------------------------ data sets of mmpretrain
def test_a_wrapped_type_takes_the_data_root_unless_it_has_its_own(photos):
    inner = dict(type='mmpretrain.CustomDataset', data_prefix='photos')
    own = dict(type='mmpretrain.CustomDataset', data_root=str(photos))
    for dataset in (inner, own, dict(type='ConcatDataset', datasets=[own])):
        data = DATASETS.build(
            dict(
                type='FewShotWrapper', dataset=dataset, data_root=str(photos.parent), lazy_init=True
            )
        )
        assert len(data.load_data_list()) == 30 and data.metainfo['classes'] == tuple(CLASSES)


def test_a_data_set_of_mmpretrain_gets_the_data_root_and_no_masks(photos):
    config = load_recipe(
        str(ROOT / 'configs' / 'fvgpt' / 'coop_fvg_mmpretrain_dataset.py'),
        dict(data_root=str(photos)),
    )
    assert not {'num_shots', 'seed', 'layout'} & set(config.test_dataloader.dataset)
    dataset = dict(
        config.test_dataloader.dataset,
        data_prefix='',
        pipeline=config.train_dataloader.dataset.pipeline,
    )
    with (
        DefaultScope.overwrite_default_scope('mmpretrain'),
        pytest.raises(ValueError, match=r'0\.jpg has no mask_path: set mask_root of the data set'),
    ):
        DATASETS.build(dataset)[0]
