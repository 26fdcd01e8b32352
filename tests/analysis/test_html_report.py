"""The report describes the model that was analysed."""

import pytest
import torch
from PIL import Image

from fvgpt.analysis import Observer
from fvgpt.analysis.analyze import draw, to_png
from fvgpt.analysis.html_report import embedded, render
from fvgpt.analysis.summary import column_summary
from fvgpt.clip import FrozenCLIP
from fvgpt.tuners import CoOp

from ..conftest import TINY_CONFIG, write_clip_folder
from ..tools.test_analyze import Page
from .test_collect import TUNERS, Images, fvgpt

TITLES = dict(zero_shot='zero-shot CLIP', tuner='<b>Tuner</b>', fvgpt='Tuner + FVG-PT')


def page(model, **images):
    observer = Observer(model)
    columns = [observer.collect(Images(branch, count=24, **images)) for branch in ('base', 'new')]
    summary = dict(
        recipe='r.py',
        checkpoint='c.pth',
        provenance={},
        split='test',
        temperature=2.0,
        ece_bins=15,
        tower_is_clip=model.tuner.image_tower_is_clip,
        columns={column.name: column_summary(column, observer.sources) for column in columns},
    )
    figures = {name: to_png(figure) for name, figure in draw(columns, TITLES).items()}
    read = Page(render(summary, TITLES, figures, {}))
    assert not read.open
    return ' '.join(' '.join(read.words).split()), set(figures)


@pytest.mark.parametrize(
    'name, present, absent',
    [
        ('coop', 'does not change the image tower', 'changes the image tower'),
        ('mmrl', 'changes the image tower', 'does not change the image tower'),
    ],
)
def test_it_tells_what_the_rollouts_of_a_tuner_can_show(random_clip, name, present, absent):
    words, figures = page(fvgpt(TUNERS[name](random_clip)))
    assert present in words and absent not in words
    assert '<b>Tuner</b>' in words, 'names are text, not markup'
    assert {'attention.png', 'shift.png', 'gates.png', 'reliability.png'} <= figures
    assert '12 usable, 6 missing, 6 empty' in words


def test_without_a_class_token_there_are_no_maps(tmp_path):
    config = dict(
        TINY_CONFIG,
        embed_dim=16,
        vision_cfg=dict(image_size=32, layers=[1, 1, 1, 1], width=8, patch_size=None),
        text_cfg=dict(context_length=77, vocab_size=49408, width=64, heads=2, layers=2),
    )
    torch.manual_seed(0)
    clip = FrozenCLIP(f'local-dir:{write_clip_folder(tmp_path, config)}', pretrained='random')
    words, figures = page(fvgpt(CoOp(clip, n_ctx=2)))
    assert 'there is neither roll-out nor Grad-CAM' in words
    assert 'attention.png' not in figures and 'shift.png' in figures


def test_without_masks_it_tells_how_to_get_them(random_clip):
    words, figures = page(fvgpt(TUNERS['coop'](random_clip)), with_masks=False)
    assert '--split train' in words
    assert 'attention.png' not in figures and 'shift.png' not in figures


def test_photographs_are_embedded_as_jpeg(tmp_path):
    noise = torch.randint(
        0, 255, (100, 100, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    ).numpy()
    Image.fromarray(noise).save(tmp_path / 'noise.png')
    png = (tmp_path / 'noise.png').read_bytes()
    assert embedded(png).startswith('data:image/png;base64,')
    assert embedded(png, True).startswith('data:image/jpeg;base64,')
    assert len(embedded(png, True)) < len(embedded(png)) / 2
