"""tools/generate_foreground.py as a user types it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fvgpt.datasets import ClassFolderDataset
from fvgpt.segmentation.mask_file import read_mask

from ..conftest import ROOT, run_tool
from ..segmentation.conftest import square_picture

SLOW = '''
import time
import numpy as np
from fvgpt.segmentation import SEGMENTERS, ForegroundSegmenter


@SEGMENTERS.register_module()
class Slow(ForegroundSegmenter):
    """All is foreground, after a while."""

    def segment(self, images):
        time.sleep(.1)
        return [np.ones(image.shape[:2], np.float32) for image in images]
'''


@pytest.fixture
def images(tmp_path) -> Path:
    """Two classes of twenty pictures."""
    for label in ('red squares', 'more'):
        (tmp_path / 'images' / label).mkdir(parents=True)
        for number in range(20):
            Image.fromarray(square_picture(40, 40 + number)[0]).save(
                tmp_path / 'images' / label / f'{number}.jpg'
            )
    return tmp_path / 'images'


def test_the_default_makes_masks_that_the_data_set_takes(images, tmp_path):
    done = run_tool(
        'tools/generate_foreground.py',
        images,
        '--out',
        tmp_path / 'mask' / 'images',
        '--suffix',
        '.png',
        '--workers',
        2,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (
        '40 images: 40 masks made' in done.stdout
        and 'coverage 100.0%' in done.stdout
        and '40/40' in done.stdout
    )
    dataset = ClassFolderDataset(
        data_root=str(tmp_path),
        img_dir='images',
        split='train',
        mask_root='mask',
        mask_suffix='.png',
    )
    for info in (dataset.get_data_info(index) for index in range(len(dataset))):
        mask = read_mask(Path(info['mask_path']))[0] > 0.5
        wanted = square_picture(*mask.shape)[1]
        assert (mask & wanted).sum() / (mask | wanted).sum() > 0.9


def test_a_run_killed_at_any_moment_leaves_whole_masks_no_workers_and_goes_on(images, tmp_path):
    (tmp_path / 'slow_segmenter.py').write_text(SLOW)
    masks = tmp_path / 'masks'
    command = [
        'tools/generate_foreground.py',
        images,
        '--out',
        masks,
        '--segmenter',
        'slow_segmenter.Slow',
        '--workers',
        2,
    ]
    environment = dict(
        PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get('PYTHONPATH', '')])
    )
    with open(tmp_path / 'log', 'w') as log:
        run = subprocess.Popen(
            [sys.executable, *map(str, command)],
            cwd=ROOT,
            env=dict(os.environ, **environment),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    while len(list(masks.rglob('*.jpg'))) < 5:
        assert run.poll() is None, (tmp_path / 'log').read_text()[-3000:]
        time.sleep(0.05)
    run.send_signal(signal.SIGKILL)
    run.wait()
    with pytest.raises(ProcessLookupError):  # the workers notice and end
        for _ in range(600):
            os.killpg(run.pid, 0)
            time.sleep(0.1)
    there = list(masks.rglob('*.jpg'))
    assert 5 <= len(there) < 40
    assert all(np.all(read_mask(path)[0] == 1) for path in there)
    done = run_tool(*command, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    summary = json.loads((masks / '_report' / 'report.json').read_text())
    assert (summary['kept'], summary['made']) == (len(there), 40 - len(there)) and summary[
        'too_large'
    ] == 40


def test_an_unreadable_image_is_named_and_the_exit_code_tells(images, tmp_path):
    (images / 'more' / '3.jpg').write_bytes(b'broken')
    done = run_tool(
        'tools/generate_foreground.py', images / 'more', '--out', tmp_path / 'masks', '--workers', 1
    )
    assert done.returncode == 1
    assert (
        '1 images have no mask' in done.stderr and '3.jpg cannot be read as an image' in done.stderr
    )
    assert 'coverage 95.0%' in done.stdout and len(list((tmp_path / 'masks').glob('*.jpg'))) == 19


@pytest.mark.parametrize(
    'arguments, message',
    [
        (
            ['--segmenter', 'u2net'],
            "there is no segmenter 'u2net'; choose grabcut, mmdet, mmseg, rembg, transformers",
        ),
        (['--compare', 'nowhere'], '--compare nowhere is not a folder'),
        (['--workers', '0'], '--workers must be at least 1'),
    ],
)
def test_wrong_options_are_one_clear_error(images, tmp_path, arguments, message):
    done = run_tool('tools/generate_foreground.py', images, '--out', tmp_path / 'masks', *arguments)
    assert done.returncode in (1, 2) and message in done.stderr and 'Traceback' not in done.stderr
    assert not (tmp_path / 'masks').exists()
