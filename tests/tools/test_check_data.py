"""tools/check_data.py on trees of the right shape and size, with empty files for images."""

import json

import pytest
from timm.data import ImageNetInfo

from ..conftest import run_tool

COMMAND = 'tools/check_data.py'


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """FGVCAircraft, ImageNet-A and ImageNetV2 whole, in CoOp's layout."""
    root = tmp_path_factory.mktemp('data')
    aircraft = root / 'fgvc_aircraft'
    (aircraft / 'images').mkdir(parents=True)
    (aircraft / 'variants.txt').write_text(''.join(f'variant {i}\n' for i in range(100)))
    number = 0
    for split, count in (('train', 3334), ('val', 3333), ('test', 3333)):
        lines = []
        for i in range(count):
            number += 1
            lines.append(f'{number:07d} variant {i % 100}\n')
            (aircraft / 'images' / f'{number:07d}.jpg').touch()
        (aircraft / f'images_variant_{split}.txt').write_text(''.join(lines))
    for folder, classes, images in (
        (
            'imagenet-adversarial/imagenet-a',
            ImageNetInfo().label_names()[::5],
            [37] * 100 + [38] * 100,
        ),
        ('imagenetv2/imagenetv2-matched-frequency-format-val', map(str, range(1000)), [10] * 1000),
    ):
        for name, count in zip(classes, images):
            (root / folder / name).mkdir(parents=True)
            for i in range(count):
                (root / folder / name / f'{i}.jpg').touch()
        (root / folder / 'README.txt').write_text('about these images')
    return root


def test_whole_data_sets_end_with_exit_code_0(root, tmp_path):
    names = ['fgvc_aircraft', 'imagenet_a', 'imagenet_v2']
    done = run_tool(COMMAND, root, *names, '--json', tmp_path / 'report.json')
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == names and all(
        line.endswith('complete') for line in lines[1:4]
    )
    report = json.loads((tmp_path / 'report.json').read_text())
    assert report['fgvc_aircraft']['counts']['train'] == dict(found=3334, expected=3334)
    assert report['imagenet_a']['counts']['test'] == dict(found=7500, expected=7500)


def test_faults_end_with_exit_code_1_and_say_where_pieces_are_published(root, tmp_path):
    image = root / 'fgvc_aircraft/images/0000001.jpg'
    stray = root / 'imagenet-adversarial/imagenet-a/n00000000'
    image.rename(tmp_path / 'away.jpg')
    stray.mkdir()
    try:
        done = run_tool(
            COMMAND, root, 'fgvc_aircraft', 'imagenet_a', 'imagenet_v2', 'eurosat', '--masks'
        )
    finally:
        (tmp_path / 'away.jpg').rename(image)
        stray.rmdir()
    assert done.returncode == 1
    states = {line.split()[0]: line.split('  ')[-1] for line in done.stdout.splitlines()[1:5]}
    assert states == dict(
        fgvc_aircraft='2 problems',
        imagenet_a='1 problem',
        imagenet_v2='complete',
        eurosat='missing',
    )
    for text in (
        f'1 of 10000 listed images are absent, the first is {image}',
        'https://www.robots.ox.ac.uk/~vgg/data/fgvc',
        "the folder 'n00000000', which is not a class of ImageNet",
        '3334 of the 3334 masks of training images',
        'https://huggingface.co/datasets/JREion/',
        str(root / 'eurosat/split_zhou_EuroSAT.json'),
        'https://github.com/KaiyangZhou/CoOp/blob/main/DATASETS.md#eurosat',
        'https://github.com/phelber/EuroSAT',
    ):
        assert text in done.stdout, text


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['/nowhere'], '/nowhere is not a folder'),
        (
            ['.', 'cifar'],
            "there is no data set 'cifar'; choose from caltech101, counter_animal, dtd",
        ),
        (['.', '--json', '/nowhere/x.json'], '--json /nowhere/x.json: there is no such folder'),
    ],
)
def test_wrong_input_is_one_line(arguments, message):
    done = run_tool(COMMAND, *arguments)
    assert (
        done.returncode == 1
        and f'error: {message}' in done.stderr
        and 'Traceback' not in done.stderr
    )
