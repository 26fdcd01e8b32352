"""Wrong masks are reported before training, right ones are not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fvgpt.datasets.mask_check import NUM_CHECKED, check_masks, suspicion
from fvgpt.quickstart.world import task_samples


def disc(radius=0.3, centre=(0.5, 0.5), size=(60, 80)):
    y, x = (np.arange(n)[:, None] / n for n in size)
    return np.hypot(y - centre[0], x.T - centre[1]) < radius


@settings(max_examples=60, deadline=None)
@given(st.floats(0.1, 0.45), st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_an_object_is_not_suspicious_and_its_inverse_is(radius, centre):
    mask = disc(radius, centre)
    assert suspicion(mask, (80, 60)) == ''
    if min(*centre, 1 - max(centre)) > radius + 0.06:  # it does not reach the border
        assert suspicion(~mask, (80, 60)) == 'inverted'


def test_the_embedded_masks_are_not_suspicious_and_their_inverses_are():
    masks = [mask.astype(bool) for _, _, mask in task_samples('train', 1, 0.7, 'exact')]
    assert [suspicion(mask, (64, 64)) for mask in masks] == [''] * len(masks)
    assert sum(suspicion(~mask, (64, 64)) == 'inverted' for mask in masks) > 0.9 * len(masks)


@pytest.mark.parametrize(
    'foreground, size, kind',
    [
        (np.zeros((6, 8), bool), (8, 6), 'empty'),
        (np.ones((6, 8), bool), (8, 6), 'full'),
        (disc(), (60, 80), 'stretched'),
        (disc(), (400, 300), ''),
        (disc(size=(512, 341)), (1365, 2048), ''),
        (np.ones((1, 1), bool), (1, 1), 'full'),
    ],
)
def test_kinds(foreground, size, kind):
    assert suspicion(foreground, size) == kind


@pytest.fixture
def pairs(tmp_path, monkeypatch):
    """Returns a function that writes image and mask files and returns the warnings about them."""
    told = []
    monkeypatch.setattr(
        'fvgpt.datasets.mask_check.log_once', lambda message, level: told.append(message)
    )

    def make(masks):
        Image.new('RGB', (80, 60)).save(tmp_path / 'image.png')
        for number, mask in enumerate(masks):
            Image.fromarray(mask).save(tmp_path / f'{number}.png')
        check_masks(
            'photos',
            [(tmp_path / 'image.png', tmp_path / f'{number}.png') for number in range(len(masks))],
        )
        return told

    return make


@pytest.mark.parametrize('wrong, told', [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1)])
def test_only_a_majority_of_masks_gives_a_warning(pairs, wrong, told):
    grey = disc().astype(np.uint8) * 255
    messages = pairs([255 - grey] * wrong + [grey] * (4 - wrong))
    assert len(messages) == told
    if told:
        assert f'photos: {wrong} of 4 checked foreground masks, such as ' in messages[0]
        assert '0.png, have more foreground at the border than inside' in messages[0]


def test_masks_of_zeros_and_ones_are_called_empty(pairs):
    assert 'must be white (255, not 1)' in pairs([disc().astype(np.uint8)] * 2)[0]


def test_only_some_masks_are_read_and_broken_ones_are_named(pairs, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(
        'fvgpt.datasets.mask_check.read_image',
        lambda path: read.append(path) or Image.new('RGB', (80, 60)),
    )
    pairs([disc().astype(np.uint8)] * 100)
    assert len(read) == NUM_CHECKED
    monkeypatch.undo()
    (tmp_path / '0.png').write_bytes(b'')
    with pytest.raises(ValueError, match=r'0\.png cannot be read as an image'):
        check_masks('photos', [(tmp_path / 'image.png', tmp_path / '0.png')])
