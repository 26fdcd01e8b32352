"""Every fault in the files of a data set is found, and a data set without faults is complete."""

import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mmengine.config import Config
from PIL import Image

from fvgpt.datasets.completeness import DataSetCheck, load_data_sets, table

CLASSES = ['ant', 'bee', 'cat', 'dog', 'elk']
PUBLISHED = dict(
    images='https://images.example',
    split_file='https://split.example',
    masks='https://masks.example',
    mirror='https://mirror.example',
)


def write_image(path: Path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise((32, 32), 50).save(path)


@pytest.fixture
def split_set(tmp_path):
    """A complete data set with a split file and masks.

    It has 4 training, 1 validation and 2 test images per class.
    """
    split = {
        part: [
            [f'{name}/{part}{i}.png', label, name]
            for label, name in enumerate(CLASSES)
            for i in range(count)
        ]
        for part, count in (('train', 4), ('val', 1), ('test', 2))
    }
    for path, _, _ in (entry for entries in split.values() for entry in entries):
        write_image(tmp_path / 'set/images' / path)
    for path, _, _ in split['train']:
        write_image(tmp_path / 'mask/set/images' / path)
    text = json.dumps(split)
    (tmp_path / 'set/split.json').write_text(text)
    facts = dict(
        title='Set',
        classes=5,
        train=20,
        val=5,
        test=10,
        test_base=6,
        test_new=4,
        published=PUBLISHED,
        md5=hashlib.md5(text.encode()).hexdigest()[:8],
    )
    given = dict(
        type='SplitFileDataset',
        split_file='set/split.json',
        img_dir='set/images',
        archive='archive',
        split='test',
    )
    return tmp_path, Config(dict(facts=facts, test_dataset=given))


@pytest.fixture
def folder_set(tmp_path):
    """A complete data set of class folders named by numbers.

    It has 3 training and 2 test images per class.
    """
    for part, count in (('train', 3), ('val', 2)):
        for number in range(12):
            for i in range(count):
                write_image(tmp_path / 'net' / part / str(number) / f'{i}.png')
    facts = dict(
        title='Net', classes=12, train=36, test=24, test_base=12, test_new=12, published=PUBLISHED
    )
    given = dict(
        type='ClassFolderDataset',
        img_dir='net',
        folders=dict(train='train', test='val'),
        split='test',
        class_names='imagenet',
        num_classes=12,
    )
    return tmp_path, Config(dict(facts=facts, test_dataset=given))


def check(data_set, **options):
    root, config = data_set
    return DataSetCheck(config, str(root), **options).run()


def drop(path: Path, part: str):
    content = json.loads(path.read_text())
    del content[part][0]
    path.write_text(json.dumps(content))


def test_a_data_set_without_faults_is_complete(split_set, folder_set):
    reports = dict(
        split=check(split_set, masks=True, decode=True), folders=check(folder_set, decode=True)
    )
    assert [report.problems + report.notes for report in reports.values()] == [[], []]
    assert reports['split'].counts['masks'] == (20, 20)
    text = table(reports).splitlines()
    assert [line.split()[-1] for line in text] == ['state', 'complete', 'complete']
    assert text[1].split() == ['split', '5', '20', '5', '10', '6', '4', '20', 'complete']
    assert text[2].split() == ['folders', '12', '36', '-', '24', '12', '12', '-', 'complete']


@pytest.mark.parametrize(
    'plant, message',
    [
        (
            lambda p: (p / 'set/images/bee/test1.png').unlink(),
            r'1 of 35 listed images are absent, the first is .*set/images/bee/test1\.png, '
            r'published at https://images\.example',
        ),
        (
            lambda p: (p / 'set/split.json').unlink(),
            r'missing: .*set/split\.json, published at https://split\.example',
        ),
        (
            lambda p: (p / 'set/images').rename(p / 'pictures'),
            r'missing: .*set/images, published at https://images\.example',
        ),
        (
            lambda p: (p / 'set/split.json').write_text((p / 'set/split.json').read_text() + ' '),
            r'is not the public split file',
        ),
        (lambda p: (p / 'set/split.json').write_text('{'), r'split\.json is not valid JSON'),
        (lambda p: drop(p / 'set/split.json', 'train'), r'train: 19 found, 20 expected'),
        (lambda p: drop(p / 'set/split.json', 'test'), r'test base: 5 found, 6 expected'),
        (
            lambda p: (p / 'mask/set/images/cat/train2.png').unlink(),
            r'1 of the 20 masks .* absent, the first is .*mask/set/images/cat/train2\.png, '
            r'published at https://masks\.example',
        ),
        (
            lambda p: (p / 'set/images/dog/train3.png').write_bytes(b''),
            r'1 of 55 files .*dog/train3\.png, which is empty',
        ),
        (
            lambda p: (p / 'set/images/elk/val0.png').write_bytes(
                (p / 'set/images/elk/val0.png').read_bytes()[:200]
            ),
            r'elk/val0\.png, which cannot be decoded',
        ),
        (
            lambda p: (p / 'mask/set/images/ant/train0.png').write_bytes(b'no image'),
            r'mask/.*/ant/train0\.png, which cannot be',
        ),
    ],
)
def test_planted_faults_of_a_split_file_data_set_are_found(split_set, plant, message):
    plant(split_set[0])
    report = check(split_set, masks=True, decode=True)
    assert not report.complete
    assert re.search(message, table(dict(set=report)))


@pytest.mark.parametrize(
    'plant, message',
    [
        (
            lambda p: write_image(p / 'net/val/stray/0.png'),
            "the folder 'stray', which is not a class of ImageNet",
        ),
        (
            lambda p: write_image(p / 'net/val/12/0.png'),
            'val has 13 class folders, expected 12',
        ),
        (
            lambda p: write_image(p / 'net/train/12/0.png'),
            "must have the same class folders; '12' is in one of them only",
        ),
        (lambda p: (p / 'net/val/3/0.png').unlink(), 'test: 23 found, 24 expected'),
        (lambda p: [f.unlink() for f in (p / 'net/train/3').iterdir()], 'train/3 has no images'),
        (lambda p: write_image(p / 'net/train/3/copy.png'), 'train: 37 found, 36 expected'),
        (
            lambda p: (p / 'net/train').rename(p / 'away'),
            'net/train, published at https://images.example',
        ),
    ],
)
def test_planted_faults_of_class_folders_are_found(folder_set, plant, message):
    plant(folder_set[0])
    report = check(folder_set)
    assert not report.complete and message in table(dict(net=report))
    if 'net/train, published' in message:  # the test images are counted all the same
        assert report.counts['test'] == (24, 24)


def test_what_is_not_a_fault_is_noted(split_set, folder_set):
    root, _ = folder_set
    (root / 'net/README.txt').write_text('about')
    report = check(folder_set)
    assert report.complete and report.notes == [
        f'files in {root / "net"} that no list contains: 1, such as net/README.txt'
    ]
    mask = root / 'mask/set/images/ant/train0.png'
    mask.rename(mask.with_suffix('.bmp'))
    assert any(
        'train0.bmp exists: set --mask-suffix' in note
        for note in check(split_set, masks=True).notes
    )


def test_images_are_decoded_on_the_cores_that_the_container_has(split_set, monkeypatch):
    workers = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, max_workers):
            workers.append(max_workers)
            super().__init__(max_workers)

    monkeypatch.setattr('fvgpt.datasets.completeness.ThreadPoolExecutor', Pool)
    monkeypatch.setattr('os.cpu_count', lambda: 64)
    monkeypatch.setattr('os.sched_getaffinity', lambda pid: range(1), raising=False)
    check(split_set, decode=True)
    assert workers and set(workers) == {1}


def test_masks_with_another_suffix_are_complete(split_set):
    for path in (split_set[0] / 'mask').rglob('*.png'):
        path.rename(path.with_suffix('.gif'))
    assert not check(split_set, masks=True).complete
    assert check(split_set, masks=True, mask_suffix='.gif').complete


def test_the_layout_of_the_archives(split_set):
    root, _ = split_set
    (root / 'archive').mkdir()
    for name in ('set', 'mask'):
        (root / name).rename(root / 'archive' / name)
    assert check(split_set, layout='archives', masks=True).complete
    assert (
        f"{root / 'archive/set/images'} exists, as in the layout 'archives'"
        in check(split_set).notes
    )


def test_a_folder_with_other_case_is_noted(split_set):
    (split_set[0] / 'set/images').rename(split_set[0] / 'set/IMAGES')
    assert (
        f'{split_set[0] / "set/IMAGES"} exists: its name differs in upper and lower case'
        in check(split_set).notes
    )


def test_reports_contain_all_files_and_are_json(split_set):
    for name in ('train0', 'train1'):
        (split_set[0] / f'set/images/ant/{name}.png').unlink()
    report = json.loads(json.dumps(check(split_set).as_json()))
    assert (
        report['files']['absent'] == ['set/images/ant/train0.png', 'set/images/ant/train1.png']
        and not report['complete']
    )
    assert report['counts']['train'] == dict(found=20, expected=20)


def test_unknown_data_sets_are_named(tmp_path):
    (tmp_path / 'known.py').write_text('facts = dict(title="Known")')
    (tmp_path / 'part.py').write_text('facts = dict(published=dict())')
    assert list(load_data_sets(tmp_path)) == ['known']
    with pytest.raises(ValueError, match="no data set 'part'; choose from known"):
        load_data_sets(tmp_path, ['part'])
