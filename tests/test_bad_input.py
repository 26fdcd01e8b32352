"""The messages in the guide to bad input are those of the commands; every row is tested."""

import ast
import json
import os
from argparse import Namespace
from pathlib import Path
from shutil import rmtree

import numpy as np
import pytest
import torch
from PIL import Image

from fvgpt.datasets import read_image
from fvgpt.datasets.load_image import ORIENTATION, inspect_image
from fvgpt.engine.hooks.class_names import check_labels
from fvgpt.engine.runner.distributed import prepare_distributed
from fvgpt.engine.runner.inputs import check_inputs
from fvgpt.engine.runner.recipe import load_recipe, use_amp
from fvgpt.engine.runner.resume import AtomicWriteBackend
from fvgpt.engine.runner.run_lock import claimed
from fvgpt.io.device import torch_device
from fvgpt.io.log_once import log_once
from fvgpt.registry import DATASETS
from fvgpt.tuners import CoOp

from .conftest import ROOT
from .datasets.test_load_image import bomb
from .engine.hooks.test_finite import Diverging, train

GUIDE = ROOT / 'docs' / 'bad_input.md'
RECIPE = str(ROOT / 'configs' / 'fvgpt' / 'coop_fvg_custom.py')
CLIP = dict(type='FrozenCLIP', name='quickstart')
HEIGHT, WIDTH = 40, 60
TRAIN, MASKS = Path('photos/train'), Path('photos/mask/train')
FIRST = TRAIN / 'ant' / '0.png'
ERRORS, WARNINGS = {}, {}


def rows(title):
    """Rows of the guide's table below a heading: name -> the other cells, without backticks."""
    section = GUIDE.read_text(encoding='utf-8').split(f'\n## {title}\n')[1].split('\n## ')[0]
    cells = [
        line.strip('| ').split(' | ') for line in section.splitlines() if line.startswith('| ')
    ][1:]
    return {name: [cell.strip('`') for cell in rest] for name, *rest in cells}


def row(table, name):
    """Register the function that makes the mistake of a row."""
    return lambda make: table.setdefault(name, make)


# ------------------------------------------------------------------ a good data set
def disc():
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return (np.hypot(y - HEIGHT / 2, x - WIDTH / 2) < 12).astype(np.uint8) * 255


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Create photos/{train,test}/{ant,bee,cat} with three and one images, and their masks."""
    monkeypatch.chdir(tmp_path)
    for name in ('FVGPT_TRACEBACK', 'SLURM_PROCID'):
        monkeypatch.delenv(name, raising=False)
    for name in ('ant', 'bee', 'cat'):
        for path in [f'train/{name}/{number}.png' for number in range(3)] + [f'test/{name}/9.png']:
            for folder, picture in (
                ('photos', Image.new('RGB', (WIDTH, HEIGHT))),
                ('photos/mask', Image.fromarray(disc())),
            ):
                (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
                picture.save(Path(folder) / path)
    log_once.cache_clear()
    inspect_image.cache_clear()


def start(**options):
    """The first steps of tools/train.py."""
    fixed = {
        'data_root': 'photos',
        'num_shots': 2,
        'clip.name': 'quickstart',
        'clip.pretrained': None,
    }
    check_inputs(load_recipe(RECIPE, {**fixed, **options}))


def test_the_good_data_set_starts_without_a_warning(photos, monkeypatch):
    told = []
    monkeypatch.setattr('fvgpt.io.log_once.print_log', lambda message, _, level: told.append(level))
    start()
    assert told and set(told) == {20}


# ------------------------------------------------------------------ errors
def cut(path):
    path.write_bytes(path.read_bytes()[:-30])


@row(ERRORS, 'image cut off')
def _():
    cut(FIRST)
    start(num_shots=None)


@row(ERRORS, 'image of zero bytes')
def _():
    FIRST.write_bytes(b'')
    start(num_shots=None)


@row(ERRORS, 'text called `.png`')
def _():
    FIRST.write_text('hello')
    start(num_shots=None)


@row(ERRORS, 'image of 60,000 x 60,000 pixels')
def _():
    FIRST.write_bytes(bomb())
    start(num_shots=None)


@row(ERRORS, 'the same where it is read')
def _():
    FIRST.write_bytes(bomb())
    read_image(str(FIRST))


@row(ERRORS, 'mask that is not an image')
def _():
    (MASKS / 'ant' / '0.png').write_text('hello')
    start(num_shots=None)


@row(ERRORS, 'folder of masks missing')
def _():
    start(**{'train_dataloader.dataset.mask_root': 'masks'})


@row(ERRORS, 'masks of other names')
def _():
    for path in list(MASKS.rglob('*.png')):
        path.rename(path.with_name(f'mask_{path.name}'))
    start()


def split_file(label=0, name='ant'):
    entries = [
        [f'train/{c}/{n}.png', i, c] for i, c in enumerate(('ant', 'bee', 'cat')) for n in range(3)
    ]
    Path('photos/split.json').write_text(
        json.dumps(dict(train=[*entries[1:], ['train/ant/0.png', label, name]], test=[]))
    )


@row(ERRORS, 'class name empty, in a list')
def _():
    Path('photos/list.csv').write_text('image,class\ntrain/bee/0.png,bee\ntrain/ant/0.png,\n')
    start()


@row(ERRORS, 'class name empty, in a split file')
def _():
    split_file(name='')
    start()


@row(ERRORS, 'class name of nothing but `_`')
def _():
    CoOp(CLIP).set_class_names(['ant', '_'])


@row(ERRORS, 'class name of more than 77 tokens')
def _():
    CoOp(CLIP).set_class_names(['ant', 'very ' * 80 + 'long'])


@row(ERRORS, 'class without images')
def _():
    for split in ('train', 'test'):
        (Path('photos') / split / 'dog').mkdir()
    start()


def remove_class(name):
    for split in ('train', 'test'):
        rmtree(Path('photos') / split / name)


@row(ERRORS, 'one class')
def _():
    remove_class('bee')
    remove_class('cat')
    start()


@row(ERRORS, 'one class in the half to train on')
def _():
    remove_class('cat')
    start(**{'train_dataloader.dataset.subset': 'base'})


@row(ERRORS, 'label below 0, in a split file')
def _():
    split_file(label=-1)
    start()


def foreign():
    """A data set of mmpretrain with two classes and an image of a third."""
    Path('photos/list.txt').write_text('ant/0.png 0\nbee/0.png 1\ncat/0.png 2\n')
    return DATASETS.build(
        dict(
            type='mmpretrain.CustomDataset',
            data_root='photos',
            data_prefix='train',
            ann_file='list.txt',
            metainfo=dict(classes=['ant', 'bee']),
        )
    )


@row(ERRORS, "label without a class, in mmpretrain's data sets")
def _():
    data = foreign()
    check_labels(data, len(data.metainfo['classes']))


@row(ERRORS, 'the same, in a `FewShotWrapper`')
def _():
    DATASETS.build(dict(type='FewShotWrapper', dataset=foreign(), data_root='photos'))


@row(ERRORS, 'loss that is not finite')
def _():
    train(Path('.'), Diverging(5, float('nan'), in_loss=True))


@row(ERRORS, 'disk full')
def _():
    Path('run').mkdir()
    Path('run/epoch_9.pth').write_text('earlier')

    def write(self, content, path):
        Path(path).write_bytes(content[:2])
        raise OSError(28, os.strerror(28))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mmengine.fileio.LocalBackend.put', write)
        try:
            AtomicWriteBackend().put(b'content', 'run/epoch_9.pth')
        finally:
            assert (
                os.listdir('run') == ['epoch_9.pth']
                and Path('run/epoch_9.pth').read_text() == 'earlier'
            )


@row(ERRORS, 'folder that is read-only')
def _():
    Path('.').chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(65534)  # root may write everywhere, the user nobody may not
    try:
        with claimed('run'):
            pass
    finally:
        os.seteuid(os.getuid())
        Path('.').chmod(0o755)


@row(ERRORS, 'two runs in one folder')
def _():
    with claimed('run'), claimed('run'):
        pass


@row(ERRORS, '`--amp` without a GPU')
def _():
    use_amp(load_recipe(RECIPE))


@row(ERRORS, '`--device cuda` without a GPU')
def _():
    torch_device('cuda')


@row(ERRORS, '`--launcher mpi` without a GPU')
def _():
    prepare_distributed('mpi')


@row(ERRORS, '`--launcher slurm` without srun')
def _():
    prepare_distributed('slurm')


@pytest.fixture
def commands(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    import commands

    return commands


def said(commands, make):
    """The output of a command whose input contains a mistake."""
    with pytest.raises(SystemExit) as ended:
        commands.run_command(Namespace(), lambda options: make())
    line, hint = str(ended.value.code).replace(f'{Path.cwd()}/', '').rsplit('\n', 1)
    assert line.startswith('error: ') and hint == '(FVGPT_TRACEBACK=1 shows where it was raised)'
    return line.removeprefix('error: ')


@pytest.mark.parametrize('name', ERRORS)
def test_a_mistake_gives_the_error_of_the_guide(photos, commands, name):
    if name.endswith('without a GPU') and torch.cuda.is_available():
        pytest.skip('there is a GPU')
    assert said(commands, ERRORS[name]) == rows('Errors')[name][0]


def test_a_file_name_does_not_command_the_terminal(photos, commands):
    def read():
        Path('\x1b]0;owned\x07.png').write_text('no image')
        read_image('\x1b]0;owned\x07.png')

    assert said(commands, read).startswith(r'\u001b]0;owned\u0007.png cannot be read as an image')


# ------------------------------------------------------------------ warnings
def change_masks(change):
    for path in MASKS.rglob('*.png'):
        Image.fromarray(change(disc())).save(path)


@row(WARNINGS, 'rotated photographs (EXIF)')
def _():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.new('RGB', (WIDTH, HEIGHT)).save(FIRST.with_suffix('.jpg'), exif=exif)
    (MASKS / 'ant' / '0.png').rename(MASKS / 'ant' / '0.jpg')
    FIRST.unlink()
    start(num_shots=None)


@row(WARNINGS, 'some masks missing')
def _():
    (MASKS / 'ant' / '0.png').unlink()
    start()


@row(WARNINGS, 'no masks')
def _():
    rmtree('photos/mask')
    start()


@row(WARNINGS, 'masks of another shape than their images')
def _():
    change_masks(np.transpose)
    start()


@row(WARNINGS, 'masks inverted')
def _():
    change_masks(lambda mask: 255 - mask)
    start()


@row(WARNINGS, 'masks empty, or of 0 and 1')
def _():
    change_masks(lambda mask: mask // 255)
    start()


@row(WARNINGS, 'masks full')
def _():
    change_masks(lambda mask: mask | 255)
    start()


@row(WARNINGS, 'class names that read alike')
def _():
    for folder in ('train', 'test', 'mask/train'):
        (Path('photos') / folder / 'bee').rename(Path('photos') / folder / 'Cat')
    start()


@row(WARNINGS, 'fewer images than shots')
def _():
    FIRST.unlink()
    (TRAIN / 'ant' / '1.png').unlink()
    start()


@pytest.mark.parametrize('name', WARNINGS)
def test_a_doubtful_input_gives_the_warning_of_the_guide(photos, monkeypatch, name):
    told = []
    monkeypatch.setattr('fvgpt.io.log_once.print_log', lambda message, *_: told.append(message))
    WARNINGS[name]()
    assert rows('Warnings')[name][0] in told


# ------------------------------------------------------------------ the guide
def test_the_guide_has_these_rows_and_no_others():
    assert list(rows('Errors')) == list(ERRORS) and list(rows('Warnings')) == list(WARNINGS)
    assert all(
        len(cells) == 2 and all(cells)
        for title in ('Errors', 'Warnings')
        for cells in rows(title).values()
    )


def test_references_to_other_tests_exist():
    for name, (_, place) in rows('Accepted').items():
        file, _, test = place.partition('::')
        content = ast.parse((ROOT / 'tests' / file).read_text()).body
        tests = [node.name for node in content if isinstance(node, ast.FunctionDef)]
        assert test in tests, name
