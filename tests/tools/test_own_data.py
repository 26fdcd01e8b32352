"""The commands of the guide "Your own images" do what it says, on fewer images and epochs."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from fvgpt.engine.runner.config_parts import datasets_of
from fvgpt.engine.runner.recipe import load_recipe
from fvgpt.engine.runner.stage_one import tuner_config

from ..conftest import ROOT, run_tool

GUIDE = (ROOT / 'docs' / 'own_data.md').read_text(encoding='utf-8')
BLOCKS = re.findall(r'```bash\n(.*?)```', GUIDE, re.S)
SOURCES = ['zero_shot', 'tuner', 'fvgpt']
SHORTER = {
    'train_per_class=30': 'train_per_class=5, test_per_class=2',
    '--seeds 1 2 3': '--seeds 1',
    '--cfg-options ': '--cfg-options num_shots=2 train_cfg.max_epochs=1 ',
    'epoch_10.pth': 'epoch_1.pth',
}


def commands(containing: str) -> str:
    """The one block with these words, shortened."""
    (block,) = (block for block in BLOCKS if containing in block)
    for long, short in SHORTER.items():
        block = block.replace(long, short)
    return block


def run_block(folder: Path, containing: str) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])
    done = run_tool('bash', '-euc', commands(containing), cwd=folder, env=dict(PATH=path))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def results(folder: Path, work_dir: str) -> dict:
    return json.loads((folder / 'work_dirs' / work_dir / 'results.json').read_text())


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Where a user types: the project's folders, and photos/ with the images of six classes."""
    folder = tmp_path_factory.mktemp('own')
    for name in ('tools', 'configs'):
        (folder / name).symlink_to(ROOT / name)
    run_block(folder, 'write_world')
    images = folder / 'drawn' / 'quickstart_world' / 'images'
    for name in sorted(path.name for path in images.iterdir())[6:]:
        for place in (
            images,
            folder / 'photos',
            folder / 'photos' / 'mask',
            folder / 'drawn/mask/quickstart_world/images',
        ):
            shutil.rmtree(place / name)
    return folder


def test_photos_are_trained_on_and_tested(folder):
    output = run_block(folder, 'train.py configs/fvgpt/coop_fvg_custom.py')
    assert output.count('photos: class folders, 6 classes, 18 training and 12 test images') == 1
    assert output.count('photos: foreground masks of 18 of 18 train images') == 1
    table = results(folder, 'coop_fvg_custom')
    assert list(table) == SOURCES and all(list(row) == ['all'] for row in table.values())


def test_masks_are_made_and_existing_ones_are_not_replaced(folder):
    masks = {path: path.read_bytes() for path in (folder / 'photos' / 'mask').rglob('train_*.png')}
    removed = sorted(masks)[0]
    removed.unlink()
    run_block(folder, 'generate_foreground')
    assert removed.is_file() and all(
        path.read_bytes() == masks[path] for path in masks if path != removed
    )


def test_three_seeds_make_a_table(folder):
    output = run_block(folder, 'run_protocol')
    assert 'Own images' in output and '1 of 1 runs are done' in output
    assert 'all' in (folder / 'work_dirs' / 'custom' / 'report' / 'table.md').read_text()


def test_classes_are_held_out_and_added_later(folder):
    run_block(folder, 'train.py configs/fvgpt/coop_fvg_custom_held_out.py')
    assert all(
        list(row) == ['base', 'new', 'h']
        for row in results(folder, 'coop_fvg_custom_held_out').values()
    )
    run_block(folder, 'test.py')
    table = results(folder, 'added')
    assert list(table) == SOURCES and all(list(row) == ['all'] for row in table.values())


def test_a_config_of_ones_own_holds_for_both_stages(folder, monkeypatch):
    (text,) = re.findall(r'```python\n(.*?)```', GUIDE, re.S)
    assert len(text.splitlines()) <= 15
    (folder / 'my.py').write_text(text)
    monkeypatch.chdir(folder)
    config = load_recipe('my.py')
    config.work_dir = 'my'
    stage1 = tuner_config(config)
    assert (
        config.model.prior_template == 'a picture of a {}.'
        and config.model.tuner.type == stage1.model.type
    )
    assert config.model.tuner.clip == stage1.model.clip and stage1.model.clip.name == 'quickstart'
    for dataset in [*datasets_of(config), *datasets_of(stage1)]:
        assert (dataset.data_root, dataset.num_shots) == ('photos', 4)
        assert {step.get('scale', 64) for step in dataset.pipeline} <= {64, (64, 64)}


def test_a_data_set_type_of_mmpretrain(folder):
    run_block(folder, 'coop_fvg_mmpretrain_dataset')
    assert list(results(folder, 'coop_fvg_mmpretrain_dataset')) == SOURCES


@pytest.mark.parametrize(
    'files, message',
    [
        ([], 'error: own does not exist: data_root must be one folder per class'),
        (
            ['cat/a.jpg', 'cat/b.jpg', 'dog/a.jpg', 'dog/b.jpg'],
            'error: 2 of 2 train images cannot be read, the first is own/',
        ),
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path, files, message):
    for file in files:
        (tmp_path / 'own' / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'own' / file).write_text('no image\n')
    done = run_tool(
        ROOT / 'tools' / 'train.py',
        ROOT / 'configs' / 'fvgpt' / 'coop_fvg_custom.py',
        '--cfg-options',
        'data_root=own',
        cwd=tmp_path,
    )
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    assert done.stderr.splitlines()[-2].startswith(message)
