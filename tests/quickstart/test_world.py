"""The embedded image set has the properties that its docstring states."""

import json
import multiprocessing

import cv2
import numpy as np
import pytest

from fvgpt.datasets import QuickstartWorld
from fvgpt.quickstart import scene as scene
from fvgpt.quickstart import world as world


def test_task_and_pretraining_share_no_composition_but_every_word():
    assert len(world.TASK) == len(set(world.TASK)) == 40
    assert not set(world.TASK) & set(world.PRETRAINING)
    assert len(world.TASK) + len(world.PRETRAINING) == len(scene.ALL_COMPOSITIONS) == 400
    for attribute in ('pattern', 'colour', 'shape'):
        words = {getattr(c, attribute) for c in scene.ALL_COMPOSITIONS}
        assert (
            words
            == {getattr(c, attribute) for c in world.PRETRAINING}
            == {getattr(c, attribute) for c in world.TASK}
        )


def test_pretraining_pairs_are_reproducible_and_of_pretraining_compositions():
    for index in range(20):
        image, caption, which = world.pretraining_pair(0, index)
        again, same_caption, _ = world.pretraining_pair(0, index)
        assert np.array_equal(image, again) and caption == same_caption
        assert image.shape == (64, 64, 3) and 0 <= which < len(world.PRETRAINING)


@pytest.mark.parametrize(
    'what', [c for c in scene.ALL_COMPOSITIONS if c.pattern == 'plain'][::7], ids=lambda c: c.name
)
def test_mask_is_the_object(what):
    """Another colour of the object changes only the pixels of the mask and its soft border."""
    other = scene.Composition(
        what.pattern, 'white' if what.colour != 'white' else 'black', what.shape
    )
    images, masks = zip(
        *(
            scene.render(np.random.default_rng(5), w, 'on concrete', 'in daylight')
            for w in (what, other)
        )
    )
    assert np.array_equal(*masks) and 0.02 < masks[0].mean() < 0.6
    changed = (abs(images[0].astype(int) - images[1]) > 40).any(-1)
    border = cv2.dilate(masks[0].astype(np.uint8), np.ones((7, 7))).astype(bool)
    assert not (changed & ~border).any()
    core = cv2.erode(masks[0].astype(np.uint8), np.ones((5, 5))).astype(bool)
    assert changed[core].mean() > 0.95


def test_background_goes_with_the_class_in_training_only(monkeypatch):
    drawn = []
    monkeypatch.setattr(
        world,
        'render',
        lambda rng, what, background, light: (
            drawn.append((what, background, light)),
            (np.zeros((64, 64, 3), np.uint8), np.ones((64, 64), bool)),
        )[1],
    )
    shares = {}
    for split in ('train', 'test'):
        drawn.clear()
        assert len(list(world.task_samples(split, 40, 0.7, 'exact'))) == len(drawn) == 40 * 40
        assert {light for _, _, light in drawn} == {world.TASK_LIGHT}
        most_common = [
            max(
                np.mean([b == phrase for w, b, _ in drawn if w == what])
                for phrase in scene.BACKGROUNDS
            )
            for what in world.TASK
        ]
        shares[split] = np.mean(most_common)
    assert shares['train'] == pytest.approx(0.73, abs=0.04)
    assert shares['test'] < 0.25  # 0.1 by chance; this is the maximum of 40 classes


@pytest.mark.parametrize('quality', world.MASK_QUALITIES)
def test_mask_qualities(quality):
    _, mask = scene.render(np.random.default_rng(1), world.TASK[3], 'on sand', 'in daylight')
    degraded = world.degrade_mask(np.random.default_rng(2), mask, quality)
    if quality == 'missing':
        assert degraded is None
        return
    overlap = (mask & degraded).sum() / (mask | degraded).sum()
    assert degraded.shape == mask.shape
    low, high = dict(exact=(1, 1), eroded=(0.3, 0.9), shifted=(0.05, 0.8), wrong=(0, 0.6))[quality]
    assert low <= overlap <= high


def test_it_is_written_once_and_again_for_other_settings(tmp_path):
    kwargs = dict(data_root=str(tmp_path), train_per_class=2, test_per_class=1)
    train = QuickstartWorld(subset='base', mask_root='mask', **kwargs)
    assert len(train) == 40 and len(train.metainfo['classes']) == 20
    split_file = tmp_path / 'quickstart_world' / 'split_quickstart_world.json'
    stamp = split_file.stat().st_mtime_ns
    QuickstartWorld(split='test', **kwargs)
    assert split_file.stat().st_mtime_ns == stamp
    for split in ('train', 'test'):
        assert all(
            (tmp_path / 'mask/quickstart_world/images' / path).is_file()
            for path, *_ in json.loads(split_file.read_text())[split]
        )
    image = tmp_path / 'quickstart_world/images' / json.loads(split_file.read_text())['train'][0][0]
    pixels = image.read_bytes()
    with pytest.raises(FileNotFoundError, match='mask_root'):
        QuickstartWorld(mask_root='mask', mask_quality='missing', **kwargs)
    assert split_file.stat().st_mtime_ns != stamp
    assert image.read_bytes() == pixels, 'the pixels do not depend on the mask quality'
    split_file.unlink()  # as after a kill while writing
    assert len(QuickstartWorld(split='test', **kwargs)) == 40


def test_test_masks_are_exact_whatever_the_training_masks_are(monkeypatch):
    monkeypatch.setattr(world, 'TASK', world.TASK[:2])
    exact, wrong = (
        [mask for _, _, mask in world.task_samples('test', 2, 0.7, quality)]
        for quality in ('exact', 'wrong')
    )
    assert np.array_equal(exact, wrong)
    assert not any(
        np.array_equal(a, b)
        for (_, _, a), (_, _, b) in zip(
            world.task_samples('train', 2, 0.7, 'exact'),
            world.task_samples('train', 2, 0.7, 'wrong'),
        )
    )
    assert all(mask is None for _, _, mask in world.task_samples('test', 1, 0.7, 'missing'))


def test_an_unknown_mask_quality_lists_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match='exact, eroded, shifted, wrong, missing'):
        world.write_world(str(tmp_path), mask_quality='fine')


def test_runs_that_start_at_the_same_time_draw_it_once(tmp_path):
    with multiprocessing.Pool(2) as pool:
        outcomes = pool.starmap(world.write_world, [(str(tmp_path), 1, 1)] * 2)
    assert len(set(outcomes)) == 1
    content = json.loads(outcomes[0].read_text())
    images = tmp_path / 'quickstart_world' / 'images'
    assert all((images / path).is_file() for path, *_ in content['train'] + content['test'])
    assert len(list(images.rglob('*.png'))) == 80
