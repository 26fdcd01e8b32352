"""The files and commands of the guide "Add a data set" work."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from fvgpt.engine.runner.config_parts import built_datasets
from fvgpt.engine.runner.inputs import check_inputs
from fvgpt.engine.runner.recipe import load_recipe
from fvgpt.registry import DATASETS

from ..conftest import ROOT, run_tool
from ..segmentation.conftest import square_picture

GUIDE = (ROOT / 'docs' / 'add_a_dataset.md').read_text(encoding='utf-8')
BLOCKS = re.findall(r'```python\n# (my/\w+\.py)\n(.*?)```', GUIDE, re.S)
ROWS = re.findall(r'^\| `(dict\(type=.*?\))` \|', GUIDE, re.M)
(COMMANDS,) = re.findall(r'```bash\n(.*?)```', GUIDE, re.S)
KINDS = dict(
    blue_tit=(30, 60, 220), great_tit=(200, 200, 30), red_kite=(220, 30, 30), robin=(230, 120, 20)
)
NUMBERS = range(10)
TRAIN = 7  # of the ten images of a class, as 30 % are for the test


def in_class_folders(kind, number):
    return f'{kind}/{number}.png'


def in_split_folders(kind, number):
    return f'{"train" if number < TRAIN else "test"}/{kind}/{number}.png'


def in_one_folder(kind, number):
    return f'{kind}-{number:02}.png'


def write_files(folder: Path, place) -> None:
    """Write the guide's files, and its images (and lists of them) at ``place``."""
    for name in ('tools', 'configs'):
        (folder / name).symlink_to(ROOT / name)
    (folder / 'my').mkdir()
    for path, code in reversed(BLOCKS):  # if two files have the same name, the first is used
        (folder / path).write_text(code)
    birds = folder / 'data' / 'birds'
    listed = dict(train=[], test=[])
    for label, (kind, colour) in enumerate(KINDS.items()):
        for number in NUMBERS:
            path = birds / 'images' / place(kind, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(square_picture(48, 48 + number, colour)[0]).save(path)
            listed['train' if number < TRAIN else 'test'].append([place(kind, number), label, kind])
    (birds / 'split.json').write_text(json.dumps(listed))
    for split, entries in listed.items():
        (birds / f'{split}.txt').write_text('\n'.join(path for path, _, _ in entries))


def choose(folder: Path, dataset: str) -> None:
    """Put a row of the guide's table into the config of the data set."""
    part = folder / 'my' / 'birds.py'
    text, times = re.subn(
        r'type=.*?(?=, metainfo)', dataset[len('dict(') : -1], part.read_text(), count=1
    )
    assert times
    part.write_text(text)


def wrapped(folder: Path) -> None:
    (folder / 'my' / 'birds.py').write_text(
        next(code for _, code in BLOCKS if 'FewShotWrapper' in code)
    )


WAYS = {
    'class folders': (in_class_folders, lambda folder: choose(folder, ROWS[0])),
    'split file': (in_class_folders, lambda folder: choose(folder, ROWS[1])),
    'a class': (in_one_folder, lambda folder: choose(folder, ROWS[2])),
    'a type of mmpretrain': (in_split_folders, wrapped),
}


@pytest.fixture
def unregistered():
    """Remove what the guide registers after the test."""
    yield
    DATASETS._module_dict.pop('BirdList', None)
    for name in [name for name in sys.modules if name.split('.')[0] == 'my']:
        del sys.modules[name]


@pytest.mark.parametrize('way', WAYS)
def test_every_way_gives_the_same_data_sets(way, tmp_path, monkeypatch, unregistered):
    place, write_part = WAYS[way]
    write_files(tmp_path, place)
    write_part(tmp_path)
    shutil.copytree(
        tmp_path / 'data' / 'birds' / 'images', tmp_path / 'data' / 'mask' / 'birds' / 'images'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    config = load_recipe('my/coop_fvg_birds.py', dict(data_root='data', num_shots=4))
    check_inputs(config)
    train, base, new = (
        DATASETS.build(dict(dataset, pipeline=[])) for dataset in built_datasets(config)
    )
    names = list(KINDS)
    assert [train.metainfo['classes'], base.metainfo['classes'], new.metainfo['classes']] == [
        tuple(names[:2]),
        tuple(names[:2]),
        tuple(names[2:]),
    ]
    assert [len(train), len(base), len(new)] == [8, 6, 6]
    assert all('mask/birds/images' in train.get_data_info(i)['mask_path'] for i in range(8))


def test_its_commands_make_masks_train_and_end_with_the_table(tmp_path):
    write_files(tmp_path, in_one_folder)
    choose(tmp_path, ROWS[2])
    small = ' clip.name=quickstart clip.pretrained=None num_shots=4 train_cfg.max_epochs=1'
    commands = re.sub('(data_root=data)', rf'\1{small}', COMMANDS).replace(
        '--seeds 1 2 3', '--seeds 1'
    )
    masks, train, protocol = commands.splitlines()
    assert (
        'tools/train.py my/coop_fvg_birds.py' in train
    )  # the same as the protocol's runs, which are tried
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])
    done = run_tool(
        'bash', '-euc', f'{masks} --workers 1\n{protocol}', cwd=tmp_path, env=dict(PATH=path)
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    table = (tmp_path / 'work_dirs' / 'protocol' / 'report' / 'table.md').read_text()
    assert table.strip() in done.stdout and 'birds' in table.lower() and 'FVG-PT' in table
    results = json.loads(
        (tmp_path / 'work_dirs/protocol/coop_birds/seed1/results.json').read_text()
    )
    assert [set(results[source]) for source in ('zero_shot', 'tuner', 'fvgpt')] == [
        {'base', 'new', 'h'}
    ] * 3
