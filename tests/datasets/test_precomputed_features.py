"""Precomputed features: each item is its row of the file, and a wrong file is one clear line."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.dataset import pseudo_collate
from safetensors.torch import load_file, save_file

from fvgpt import UserError
from fvgpt.clip import PrecomputedCLIP
from fvgpt.datasets import FeatureFile, PrecomputedFeatures
from fvgpt.datasets.randomness import SeededIndex
from fvgpt.io.errors import MissingFileError
from fvgpt.tuners.classifier import CLIPDataPreprocessor

from .feature_files import BASE, DIM, NEW, PER_CLASS, VIEWS, tensors, write

TRAIN = dict(split='train', views=dict(full='full', foreground='foreground', area='area'))
ALL = dict(TRAIN['views'], exchanged='exchanged')


@pytest.fixture(scope='module')
def file(tmp_path_factory):
    return write(tmp_path_factory.mktemp('features') / 'some.safetensors')


@pytest.fixture(scope='module')
def three_views(file):
    return PrecomputedFeatures(str(file), views=ALL)


@given(seed=st.integers(0, 2**32 - 1), index=st.integers(0, len(BASE) * PER_CLASS - 1))
def test_an_item_is_one_view_of_its_row_by_the_seed_of_the_index(three_views, seed, index):
    stored, item = tensors(), three_views[SeededIndex(index, seed)]
    assert set(item['inputs']) == {'full', 'foreground', 'exchanged', 'area'}
    for name, row in item['inputs'].items():
        assert torch.equal(row, stored[f'train_{name}'][seed % VIEWS, index].float())
    assert item['data_samples'].gt_label.item() == stored['train_labels'][index]


def test_without_a_seed_the_view_is_drawn_from_numpys_random_numbers(file):
    dataset = PrecomputedFeatures(str(file))
    np.random.seed(0)
    first = tensors()['train_full'][0, 5].float()
    drawn = Counter(torch.equal(dataset[5]['inputs']['full'], first) for _ in range(200))
    assert 60 < drawn[True] < 140


@pytest.mark.parametrize(
    'subset, classes, branch', [('base', BASE, 'base'), ('new', NEW, 'new'), ('all', BASE + NEW, 0)]
)
def test_tests_have_the_images_and_labels_of_their_half(file, subset, classes, branch):
    dataset, stored = PrecomputedFeatures(str(file), split='test', subset=subset), tensors()
    assert dataset.metainfo['classes'] == tuple(classes)
    assert dataset.metainfo['branch'] == (branch or 'base')
    wanted = {'base': stored['test_is_new'] == 0, 'new': stored['test_is_new'] == 1}.get(
        subset, torch.ones_like(stored['test_is_new'], dtype=torch.bool)
    )
    got = torch.stack([dataset[i]['inputs']['full'] for i in range(len(dataset))])
    assert torch.equal(got, stored['test_full'][wanted].float())
    names = [classes[dataset[i]['data_samples'].gt_label.item()] for i in range(len(dataset))]
    true = [
        (NEW if new else BASE)[label]
        for label, new in zip(stored['test_labels'], stored['test_is_new'])
    ]
    assert names == [name for name, of_half in zip(true, wanted) if of_half]


def test_a_test_on_another_view_has_the_rows_that_the_file_names(file):
    dataset = PrecomputedFeatures(str(file), split='test', view='exchanged')
    stored = tensors()
    assert len(dataset) == 2
    for item, row in zip(dataset, stored['test_exchanged_rows']):
        assert item['data_samples'].gt_label.item() == stored['test_labels'][row]
        assert item['data_samples'].img_path == f'some.safetensors#{row}'
    assert torch.equal(dataset[0]['inputs']['full'], stored['test_exchanged'][0].float())


def test_keys_and_scale_map_the_names_and_lengths_of_other_files(file, tmp_path):
    renamed = load_file(file)
    renamed['fg'] = renamed.pop('train_foreground')
    renamed['text_base'] = torch.nn.functional.normalize(renamed['text_base'].float(), dim=-1)
    other = tmp_path / 'other.safetensors'
    save_file(renamed, other, dict(base=json.dumps(BASE), new=json.dumps(NEW)))
    ours = PrecomputedFeatures(str(file), **TRAIN)
    theirs = PrecomputedFeatures(str(other), dict(train_foreground='fg'), dict(image=2), **TRAIN)
    one, two = (dataset[SeededIndex(3, 1)]['inputs'] for dataset in (ours, theirs))
    assert torch.equal(2 * one['foreground'], two['foreground'])
    assert torch.equal(one['area'], two['area'])
    text = PrecomputedCLIP(str(other), scale=dict(text=10)).encode_text(BASE)
    torch.testing.assert_close(text.norm(dim=-1), torch.full((3,), 10.0))


def test_one_view_needs_no_dimension_of_its_own(file, tmp_path):
    stored = tensors()
    one = {key: stored[key][0] for key in ('train_full', 'train_foreground', 'train_area')}
    flat = PrecomputedFeatures(str(write(tmp_path / 'one.safetensors', one)), **TRAIN)
    first = PrecomputedFeatures(str(file), num_views=1, **TRAIN)
    for name, row in flat[2]['inputs'].items():
        assert torch.equal(row, first[2]['inputs'][name])
    mixed = write(tmp_path / 'mixed.safetensors', dict(train_foreground=stored['train_full'][0]))
    assert len(PrecomputedFeatures(str(mixed), num_views=1, **TRAIN)) == len(BASE) * PER_CLASS
    with pytest.raises(UserError, match=r"'train_foreground' has 1 views .* num_views=1 uses"):
        PrecomputedFeatures(str(mixed), **TRAIN)


def test_the_preprocessor_makes_frozen_features_of_a_batch(file):
    dataset = PrecomputedFeatures(str(file), **TRAIN)
    batch = pseudo_collate([dataset[SeededIndex(i, 0)] for i in (3, 1)])
    frozen = CLIPDataPreprocessor()(batch)['inputs']
    assert torch.equal(frozen.full.clip, tensors()['train_full'][0, [3, 1]].float())
    assert torch.equal(frozen.area, tensors()['train_area'][0, [3, 1]])
    assert frozen.foreground.clip.shape == (2, DIM) and frozen.exchanged is None


WRONG = {
    'no file': ({}, {}, {}, r'nowhere\.safetensors does not exist: feature_file must be'),
    'view missing': (
        dict(train_foreground=None),
        {},
        {},
        r"has no tensor 'train_foreground' of shape \(V, 12, 16\).*feature_keys\.train_foreground",
    ),
    'other number of images': (
        dict(train_area=torch.rand(VIEWS, 5)),
        {},
        {},
        r"'train_area' has the shape \(2, 5\), expected \(V, 12\)",
    ),
    'other dimension': (
        dict(train_full=torch.rand(VIEWS, 12, 8)),
        {},
        {},
        r"'train_full' has the shape \(2, 12, 8\), expected \(V, 12, 16\)",
    ),
    'label without class': (
        dict(train_labels=torch.full((12,), 3)),
        {},
        {},
        r"'train_labels' is 3 in row 0, expected an integer from 0 to 2",
    ),
    'no names': ({}, dict(base='bus, cup'), {}, "metadata 'base' must be a JSON list"),
    'other number of names': (
        {},
        dict(base='["bus"]'),
        {},
        r"'text_base' has the shape \(3, 16\), expected \(1, D\)",
    ),
    'not finite': (
        dict(train_full=torch.full((VIEWS, 12, DIM), float('nan'))),
        {},
        {},
        "'train_full' has values that are not finite",
    ),
    'area': (dict(train_area=torch.full((2, 12), 7.0)), {}, {}, 'train_area must lie between'),
    'scale': ({}, dict(image_scale='big'), {}, "'image_scale' must be a positive number"),
    'unknown side': ({}, {}, dict(scale=dict(images=1)), 'feature_scale has image and text, not'),
    'unknown key': ({}, {}, dict(keys=dict(full='x')), 'names begin with text_, train_ or test_'),
    'unknown view': ({}, {}, dict(views=dict(full='full', blur='x')), 'views must have full, and'),
    'training on new': ({}, {}, dict(subset='new'), 'subset must be base for the split train'),
    'mapped to nothing': (
        {},
        {},
        dict(keys=dict(train_full='train_ful')),
        r"no tensor 'train_ful' \(feature_keys.train_full\).*did you mean train_full",
    ),
}


@pytest.mark.parametrize('name', sorted(WRONG))
def test_a_file_that_does_not_fit_is_one_line_with_file_key_and_shape(name, tmp_path):
    changed, metadata, options, message = WRONG[name]
    path = tmp_path / 'wrong.safetensors'
    if name == 'no file':
        path = tmp_path / 'nowhere.safetensors'
    else:
        write(path, changed, metadata)
    with pytest.raises(UserError, match=message) as error:
        PrecomputedFeatures(str(path), **{**TRAIN, **options})
    assert '\n' not in str(error.value)


def test_labels_beyond_their_half_and_broken_files_are_refused(file, tmp_path):
    labels = tensors()['test_labels']
    labels[-1] = 2  # a base class has this label, no new one
    wrong = write(tmp_path / 'wrong.safetensors', dict(test_labels=labels))
    with pytest.raises(UserError, match='test_labels is 2 in row 14'):
        PrecomputedFeatures(str(wrong), split='test')
    cut = tmp_path / 'cut.safetensors'
    cut.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match='cut.safetensors is not a safetensors file'):
        FeatureFile(str(cut))
    with pytest.raises(MissingFileError):
        PrecomputedCLIP(str(tmp_path / 'no.safetensors'))


def test_a_wrong_shape_is_found_before_any_array_is_read(tmp_path):
    wrong = write(tmp_path / 'wrong.safetensors', dict(train_area=torch.rand(VIEWS, 5)))
    with pytest.raises(UserError, match="'train_area'"):
        PrecomputedFeatures(str(wrong), lazy_init=True, **TRAIN)


def test_features_of_unit_length_are_reported(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(
        'fvgpt.datasets.feature_file.print_log',
        lambda line, *args, **kwargs: lines.append(line),
    )
    unit = torch.nn.functional.normalize(tensors()['train_full'].float(), dim=-1)
    path = write(tmp_path / 'unit.safetensors', dict(train_full=unit))
    PrecomputedFeatures(str(path))
    assert 'feature_scale.image=10' in ''.join(lines)


def test_real_features_load_by_a_map_of_names(real_features):
    keys = dict(
        train_foreground='train_fg_mean',
        test_exchanged='test_bg_exchanged',
        test_exchanged_rows='swap_rows',
    )
    train = PrecomputedFeatures(str(real_features), keys, **TRAIN)
    assert len(train) == 325 and len(train.metainfo['classes']) == 20
    assert train[0]['inputs']['foreground'].norm() > 5
    exchanged = PrecomputedFeatures(str(real_features), keys, split='test', view='exchanged')
    assert len(exchanged) == 266
