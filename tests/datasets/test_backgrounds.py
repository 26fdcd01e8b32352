"""Data sets that test the background: ImageNet-9, ImageNet-S, CounterAnimal and Waterbirds."""

import json
import pickle
from collections import Counter
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mmengine.config import Config
from mmpretrain.datasets.categories import IMAGENET_SIMPLE_CATEGORIES
from PIL import Image

from fvgpt.datasets.completeness import DataSetCheck, load_data_sets
from fvgpt.datasets.imagenet_9 import superclasses
from fvgpt.datasets.mask_check import ClassMask, foreground_of
from fvgpt.protocols.plan import column_test, load_protocol
from fvgpt.registry import DATASETS

from ..conftest import ROOT, run_tool

PARTS = load_data_sets(ROOT / 'configs' / '_base_' / 'datasets')
IN9 = [name for name in PARTS if name.startswith('imagenet_9')]
IN9_FOLDERS = ['00_dog', '01_bird', '02_wheeled vehicle', '03_reptile', '04_carnivore']
IN9_FOLDERS += ['05_insect', '06_musical instrument', '07_primate', '08_fish']
BIRDS = 'landbird', 'waterbird'


def write_image(path: Path, pixels=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = crc32(str(path).encode())  # images differ from each other
    noise = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), np.uint8)
    Image.fromarray(noise if pixels is None else pixels).save(path)


def write_imagenet_9(root: Path, *variations: str):
    for variation in variations:
        for folder in IN9_FOLDERS:
            write_image(root / f'bg_challenge/{variation}/val' / folder / 'a.JPEG')


def write_counter_animal(root: Path):
    """Two animals: 3 and 2 images on common, 1 and 2 on unusual backgrounds."""
    folder = root / 'counteranimal/LAION-final'
    for name, group, count in (
        ('9 ostrich', 'common-grass', 3),
        ('9 ostrich', 'counter-water', 1),
        ('80 black grouse', 'common-snow', 2),
        ('80 black grouse', 'counter-tree', 2),
    ):
        for i in range(count):
            write_image(folder / name / group / f'{i}.jpg')
    (folder / 'imagenet_names.txt').write_text('0\ttench, Tinca tinca\n')


def class_mask(ids: np.ndarray) -> np.ndarray:
    """RGB mask (H, W, 3) of class numbers (H, W), as ImageNet-S stores them."""
    return np.stack([ids % 256, ids // 256, np.zeros_like(ids)], -1).astype(np.uint8)


def write_imagenet_s(root: Path, name: str = 'ImageNetS919', last: int = 3):
    """Class folders with an image each; the object is the left half, an ignored part the right."""
    folder = root / 'imagenet-s' / name
    for number, wnid in enumerate(('n01440764', 'n01443537', 'n01484850')[:last], 1):
        ids = np.zeros((24, 24), int)
        ids[:, :12], ids[:4, 12:], ids[8:, 20:] = number, 1000, number % last + 1
        write_image(folder / 'validation' / wnid / 'x.JPEG')
        write_image(folder / 'validation-segmentation' / wnid / 'x.png', class_mask(ids))


HEADER = 'img_id,img_filename,y,split,place,place_filename'


def write_waterbirds(root: Path, train: int = 3) -> Path:
    """Each of the four groups has ``train`` training, 1 validation and 2 test images."""
    folder = root / 'waterbird_complete95_forest2water2'
    lines = [HEADER]
    for split, count in enumerate((train, 1, 2)):
        for y in (0, 1):
            for place in (0, 1):
                for i in range(count):
                    name = f'{y + 1:03d}.Bird/{split}_{place}_{i}.jpg'
                    write_image(folder / name)
                    lines.append(f'{len(lines)},{name},{y},{split},{place},/o/ocean/1.jpg')
    (folder / 'metadata.csv').write_text('\n'.join(lines) + '\n')
    return folder


def build(name, root, **changes):
    values = dict(data_root=str(root), pipeline=[], serialize_data=False)
    return DATASETS.build(dict(PARTS[name].test_dataset, **{**values, **changes}))


# ------------------------------------------------------------------ ImageNet-9
def test_630_classes_of_imagenet_have_no_superclass():
    groups = Counter(superclasses())
    assert [groups[number] for number in range(-1, 9)] == [
        *(630, 116, 52, 42, 36, 35, 27, 26, 20, 16)
    ]
    names = dict(zip(IMAGENET_SIMPLE_CATEGORIES, superclasses()))
    expected = {
        'Chihuahua': 0,
        'ostrich': 1,
        'ambulance': 2,
        'African chameleon': 3,
        'brown bear': 4,
        'ladybug': 5,
        'banjo': 6,
        'gorilla': 7,
        'goldfish': 8,
        'airliner': -1,
        'timber wolf': -1,
    }
    named = {name: names[name] for name in expected if name in names}
    assert named == {name: expected[name] for name in named} and len(named) > 7


def test_predictions_of_imagenet_classes_or_of_nine_names(tmp_path):
    write_imagenet_9(tmp_path, 'original', 'mixed_rand')
    mapped, direct = (build('imagenet_9', tmp_path, **k) for k in ({}, dict(names='superclasses')))
    assert mapped.metainfo['classes'] == tuple(IMAGENET_SIMPLE_CATEGORIES)
    assert mapped.metainfo['superclasses'] == superclasses()
    assert direct.metainfo['classes'] == tuple(f[3:] for f in IN9_FOLDERS)
    assert 'superclasses' not in direct.metainfo
    for data in (mapped, direct):
        assert [data.get_data_info(i)['gt_label'] for i in range(len(data))] == list(range(9))
    assert '/mixed_rand/val/' in build('imagenet_9_mixed_rand', tmp_path).get_data_info(0)[
        'img_path'
    ].replace('\\', '/')


def test_each_variation_has_a_part():
    folders = {name: PARTS[name].test_dataset.img_dir.split('/')[1] for name in IN9}
    assert folders.pop('imagenet_9') == 'original'
    assert folders == {f'imagenet_9_{folder}': folder for folder in folders.values()}
    assert len(folders) == 7


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(names='wnids'), "names must be one of imagenet, superclasses, not 'wnids'"),
        (dict(subset='new'), "has no base and new half; set subset='all' or names='superclasses'"),
    ],
)
def test_invalid_options_of_imagenet_9_are_named(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        build('imagenet_9', tmp_path, **options)


def test_a_folder_that_is_no_class_of_imagenet_9_is_named(tmp_path):
    write_imagenet_9(tmp_path, 'original')
    write_image(tmp_path / 'bg_challenge/original/val/09_cat/a.JPEG')
    with pytest.raises(ValueError, match=r"val has the folder '09_cat', which is not a class of"):
        build('imagenet_9', tmp_path)


# ------------------------------------------------------------------ CounterAnimal
def test_counter_animal_has_imagenets_labels_and_two_groups(tmp_path):
    write_counter_animal(tmp_path)
    data = build('counter_animal', tmp_path, num_classes=2)
    assert data.metainfo['groups'] == ('common', 'counter')
    assert data.metainfo['classes'] == tuple(IMAGENET_SIMPLE_CATEGORIES)
    infos = [data.get_data_info(i) for i in range(len(data))]
    counts = Counter((info['gt_label'], info['group']) for info in infos)
    assert counts == {(9, 0): 3, (9, 1): 1, (80, 0): 2, (80, 1): 2}
    for group, name in enumerate(data.metainfo['groups']):
        part = build('counter_animal', tmp_path, num_classes=2, only=name)
        chosen = [info['img_path'] for info in infos if info['group'] == group]
        assert [part.get_data_info(i)['img_path'] for i in range(len(part))] == chosen


@pytest.mark.parametrize(
    'folder, options, message',
    [
        ('', dict(), 'has 2 class folders, expected 45'),
        ('', dict(only='rare'), "only must be one of common, counter, or None, not 'rare'"),
        ('tench/common-water', dict(num_classes=3), 'tench is not named <class number of'),
        ('1000 x/common-water', dict(num_classes=3), '1000 x is not named <class number of'),
        ('1 goldfish/common-water', dict(num_classes=3), '1 goldfish has no folder counter-<'),
    ],
)
def test_invalid_folders_of_counter_animal_are_named(tmp_path, folder, options, message):
    write_counter_animal(tmp_path)
    (tmp_path / 'counteranimal/LAION-final' / folder).mkdir(parents=True, exist_ok=True)
    with pytest.raises(ValueError, match=message):
        build('counter_animal', tmp_path, **options)


# ------------------------------------------------------------------ ImageNet-S
@settings(max_examples=30, deadline=None)
@given(arrays(np.int64, (3, 4), elements=st.integers(0, 1000)), st.integers(1, 919))
def test_class_numbers_of_masks_are_read_back(ids, number):
    mask = Image.fromarray(class_mask(ids))
    path = pickle.loads(pickle.dumps(ClassMask('mask.png', number)))
    assert path == 'mask.png' and (foreground_of(mask, path) == (ids == number)).all()


def test_the_foreground_of_imagenet_s_is_the_images_own_class(tmp_path):
    write_imagenet_s(tmp_path)
    pipeline = [dict(type='LoadImage'), dict(type='LoadForegroundMask')]
    data = build('imagenet_s', tmp_path, num_classes=3, mask_root='mask', pipeline=pipeline)
    assert data.metainfo['classes'][:2] == ('tench', 'goldfish')
    for i in range(3):
        foreground = data[i]['gt_seg_map']
        assert foreground[:, :12].all() and not foreground[:, 12:].any()
    assert 'mask_path' not in build('imagenet_s', tmp_path, num_classes=3).get_data_info(0)


@pytest.mark.parametrize('view', ['foreground_black', 'exchanged'])
def test_views_of_imagenet_s_show_the_images_own_class(tmp_path, view):
    write_imagenet_s(tmp_path)
    load = [dict(type='LoadImage'), dict(type='PackInputs')]
    data = build('imagenet_s', tmp_path, num_classes=3, view=view, pipeline=load)
    plain = build('imagenet_s', tmp_path, num_classes=3, pipeline=load)
    assert len(data) == 3
    for i in range(3):
        shown, image = data[i]['inputs'], plain[i]['inputs']
        assert (shown[..., :12] == image[..., :12]).all()
        assert (shown[..., 12:] != image[..., 12:]).float().mean() > 0.9


def test_a_missing_mask_of_imagenet_s_is_named(tmp_path):
    write_imagenet_s(tmp_path)
    mask = tmp_path / 'imagenet-s/ImageNetS919/validation-segmentation/n01443537/x.png'
    mask.unlink()
    with pytest.raises(FileNotFoundError, match=f'the first is {mask}'):
        build('imagenet_s', tmp_path, num_classes=3, mask_root='mask')


def test_training_on_the_images_of_imagenet_s_that_have_masks(tmp_path):
    write_imagenet_s(tmp_path)
    root = tmp_path / 'imagenet-s/ImageNetS919'
    options = dict(
        img_dir='imagenet-s/ImageNetS919',
        folders=dict(train='train-semi', test='validation'),
        num_classes=3,
        split='train',
        mask_root='mask',
    )
    with pytest.raises(FileNotFoundError, match='train-semi-segmentation'):
        build('imagenet_s', tmp_path, **options)
    for folder in ('validation', 'validation-segmentation'):
        (root / folder).rename(root / folder.replace('validation', 'train-semi'))
    info = build('imagenet_s', tmp_path, **options).get_data_info(1)
    assert info['mask_path'] == str(root / 'train-semi-segmentation/n01443537/x.png')
    assert info['mask_path'].number == 2


# ------------------------------------------------------------------ Waterbirds
def test_groups_of_waterbirds_are_bird_times_place(tmp_path):
    write_waterbirds(tmp_path)
    data = build('waterbirds', tmp_path)
    assert data.metainfo['classes'] == BIRDS
    assert data.metainfo['groups'] == tuple(f'{b} on {p}' for b in BIRDS for p in ('land', 'water'))
    for i in range(len(data)):
        info = data.get_data_info(i)
        y, place = int(Path(info['img_path']).parent.name[2]) - 1, info['img_path'].split('_')[-2]
        assert (info['gt_label'], info['group']) == (y, 2 * y + int(place))
    sizes = [len(build('waterbirds', tmp_path, split=split)) for split in ('train', 'val', 'test')]
    assert sizes == [12, 4, 8]
    training = dict(PARTS['waterbirds'].train_dataloader.dataset, data_root=str(tmp_path))
    assert len(DATASETS.build(dict(training, num_shots=2))) == 4


def replace(old, new):
    return lambda path: path.write_text(path.read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    'break_it, message',
    [
        (Path.unlink, r'metadata\.csv does not exist: list_file must be metadata\.csv of the'),
        (
            replace(',place,', ',background,'),
            r'metadata\.csv, line 1: the header must have the columns img_filename, y, place and '
            r"split; it has 'img_id', .*'background'",
        ),
        (replace('.jpg,0,0,1', '.jpg,0,0,3'), r"line 5: place is '3', expected 0 \(land\), 1 "),
        (replace('.jpg,0,0,1', '.jpg,-1,0,1'), r"line 5: y is '-1', expected 0 \(landbird\), 1 "),
        (replace('001.Bird/0', '../0'), r'line 2.* lists the image .*stay inside the image folder'),
        (
            lambda path: (path.parent / '001.Bird/2_0_0.jpg').unlink(),
            r'1 of 8 images do not exist, the first is in line 18: .*001\.Bird/2_0_0\.jpg',
        ),
    ],
)
def test_invalid_lists_of_waterbirds_are_named(tmp_path, break_it, message):
    break_it(write_waterbirds(tmp_path) / 'metadata.csv')
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        build('waterbirds', tmp_path)
    assert '\n' not in str(caught.value)


# ------------------------------------------------------------------ commands
def touch(path: Path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def reduced(name: str, folders: int, **facts) -> Config:
    """A part with the numbers of a small tree, which has ``folders`` class folders."""
    config = Config(PARTS[name].to_dict())
    config.facts.update(facts)
    config.test_dataset.num_classes = folders
    return config


def test_groups_are_counted(tmp_path):
    write_counter_animal(tmp_path)
    right = dict(test=8, groups=dict(common=5, counter=3))
    report = DataSetCheck(reduced('counter_animal', 2, **right), str(tmp_path)).run()
    assert report.complete and report.counts['counter'] == (3, 3)
    wrong = dict(right, groups=dict(common=4, counter=4))
    report = DataSetCheck(reduced('counter_animal', 2, **wrong), str(tmp_path)).run()
    assert report.problems == ['common: 5 found, 4 expected', 'counter: 3 found, 4 expected']


def test_masks_of_test_images_are_counted(tmp_path):
    write_imagenet_s(tmp_path, 'ImageNetS50', last=2)
    config = reduced('imagenet_s_50', 2, classes=2, test=2)
    assert DataSetCheck(config, str(tmp_path), masks=True).run().complete
    mask = tmp_path / 'imagenet-s/ImageNetS50/validation-segmentation/n01440764/x.png'
    mask.unlink()
    report = DataSetCheck(config, str(tmp_path), masks=True).run()
    assert report.counts['masks'] == (1, 2)
    assert report.problems == [
        f'1 of the 2 masks of test images are absent, the first is {mask}, published at '
        'https://github.com/LUSSeg/ImageNet-S/releases'
    ]


def test_check_data_says_what_is_missing(tmp_path):
    for folder in IN9_FOLDERS:
        for i in range(450):
            touch(tmp_path / f'bg_challenge/original/val/{folder}/{i}.JPEG')
    write_waterbirds(tmp_path)
    names = ['imagenet_9', 'imagenet_9_only_fg', 'counter_animal', 'waterbirds']
    done = run_tool('tools/check_data.py', tmp_path, *names, '--json', tmp_path / 'report')
    assert done.returncode == 1, done.stderr
    states = [line.split('  ')[-1] for line in done.stdout.splitlines()[1:5]]
    assert states[:3] == ['complete', 'missing', 'missing']
    report = json.loads((tmp_path / 'report').read_text())
    assert report['imagenet_9_only_fg']['problems'] == [
        f'missing: {tmp_path}/bg_challenge/only_fg/val, published at '
        'https://github.com/MadryLab/backgrounds_challenge/releases'
    ]
    assert report['counter_animal']['problems'] == [
        f'missing: {tmp_path}/counteranimal/LAION-final, published at '
        'https://counteranimal.github.io'
    ]
    assert report['waterbirds']['problems'][0] == 'train: 12 found, 4795 expected'


@pytest.fixture(scope='module')
def tuned(tmp_path_factory):
    """CoOp after one epoch on Waterbirds; small trees of all sets are in the folder ``data``."""
    folder = tmp_path_factory.mktemp('tuned')
    data = folder / 'data'
    write_waterbirds(data)
    write_counter_animal(data)
    write_imagenet_s(data)
    write_imagenet_9(data, 'original', 'mixed_same', 'mixed_rand', 'only_fg')
    base = ROOT / 'configs' / 'fvgpt' / 'coop_waterbirds.py'
    (folder / 'coop.py').write_text(
        f'_base_ = {str(base)!r}\nclip = dict(name="quickstart", pretrained=None)\n'
        f'model = dict(clip=clip)\ntrain_cfg = dict(max_epochs=1)\nnum_shots = 2\n'
        'train_dataloader = test_dataloader = dict(num_workers=0)\n'
        f'data_root = {str(data)!r}\n'
    )
    done = run_tool('tools/train.py', folder / 'coop.py', '--work-dir', folder / 'work')
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


def test_a_run_on_waterbirds_reports_the_worst_group(tuned):
    tuner = json.loads((tuned / 'work' / 'results.json').read_text())['tuner']
    protocol = load_protocol(str(ROOT / 'configs' / 'protocols' / 'waterbirds.py'))
    assert set(protocol.columns) == set(tuner) and tuner['all_worst'] <= tuner['all_groups']
    assert tuner['all_groups'] == pytest.approx(tuner['all']), 'groups of equal size'


def test_the_protocol_reports_gaps_between_backgrounds(tuned):
    protocol = load_protocol(str(ROOT / 'configs' / 'protocols' / 'backgrounds.py'))
    small = dict(counter_animal=dict(num_classes=2), imagenet_s=dict(num_classes=3))
    direct = dict(names='superclasses')
    tests = [column_test(protocol, 'names', 'imagenet_9', branch='new', options=direct)]
    for column, spec in protocol.evaluate.items():
        if spec:
            options = {**spec.get('options', {}), **small.get(spec['dataset'], {})}
            tests.append(column_test(protocol, column, **{**spec, 'options': options}))
    (tuned / 'tests.py').write_text(
        f'_base_ = "./coop.py"\ntest_evaluator = [dict(type="SubsetAccuracy")]\n'
        f'test_cfg = dict(differences={protocol.differences}, tests={tests})\n'
    )
    work = tuned / 'tested'
    done = run_tool(
        'tools/test.py', tuned / 'tests.py', tuned / 'work/epoch_1.pth', '--work-dir', work
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    tuner = json.loads((work / 'results.json').read_text())['tuner']
    assert {*protocol.columns, 'names'} - {'imagenet'} == set(tuner)
    assert tuner['bg_gap'] == pytest.approx(tuner['in9_mixed_same'] - tuner['in9_mixed_rand'])
    assert tuner['counter_gap'] == pytest.approx(tuner['common'] - tuner['counter'], abs=1e-3)
