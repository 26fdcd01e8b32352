"""The example of the guide "Add a segmenter" works with the guide's command."""

import os
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fvgpt.engine.runner.recipe import load_recipe
from fvgpt.registry import DATASETS
from fvgpt.segmentation import SEGMENTERS, build_segmenter
from fvgpt.segmentation.mask_file import read_mask

from ..conftest import ROOT, run_tool
from .conftest import square_picture

GUIDE = (ROOT / 'docs' / 'add_a_segmenter.md').read_text(encoding='utf-8')
SEGMENT, TRAIN = re.findall(r'```bash\n(.*?)```', GUIDE, re.S)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Working folder: the guide's module, photos/ of two classes, and the masks of its command."""
    folder = tmp_path_factory.mktemp('segmenter')
    for name in ('tools', 'configs'):
        (folder / name).symlink_to(ROOT / name)
    (code,) = re.findall(r'```python\n(.*?)```', GUIDE, re.S)
    (folder / 'my_segmenters.py').write_text(code)
    for kind, colour in (('red_box', (220, 30, 30)), ('green_box', (30, 220, 30))):
        (folder / 'photos' / kind).mkdir(parents=True)
        for number in range(3):
            Image.fromarray(square_picture(48, 64 + number, colour)[0]).save(
                folder / 'photos' / kind / f'{number}.png'
            )
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])
    done = run_tool('bash', '-euc', SEGMENT, cwd=folder, env=dict(PATH=path))
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def test_the_guides_segmenter_finds_the_foreground(folder):
    masks = sorted((folder / 'photos' / 'mask').glob('*_box/*.png'))
    assert len(masks) == 6
    for path in masks:
        found, note = read_mask(path)
        assert np.array_equal(found > 0.5, square_picture(48, found.shape[1])[1])
        assert note['segmenter'].startswith('my_segmenters.PlainBackground')


def test_its_masks_are_those_of_the_guides_recipe(folder, monkeypatch):
    monkeypatch.chdir(folder)
    _, _, recipe, _, *options = shlex.split(TRAIN)
    config = load_recipe(recipe, dict(option.split('=', 1) for option in options))
    train = DATASETS.build(dict(config.train_dataloader.dataset, pipeline=[]))
    images = [train.get_data_info(i) for i in range(len(train))]
    assert len(images) == 4  # of six: 30 % of each class are test images
    assert all(
        Path(info['mask_path']) == Path('photos/mask', *Path(info['img_path']).parts[1:])
        for info in images
    )


def test_wrong_options_of_it_are_one_line(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    name = 'my_segmenters.PlainBackground'
    try:
        with pytest.raises(ValueError, match='border must lie between 0 and 0.5, not 0.7'):
            build_segmenter(name, dict(border=0.7))
        with pytest.raises(
            ValueError, match=f'the segmenter {name} takes no width; its options are border'
        ):
            build_segmenter(name, dict(width=3))
    finally:
        SEGMENTERS._module_dict.pop('plain_background', None)
