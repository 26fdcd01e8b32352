"""Few-shot subsets equal those of the original data set classes, image by image."""

import json

import numpy as np
import pytest

from fvgpt.datasets import SplitFileDataset

FILES = dict(
    caltech101='Caltech101',
    dtd='DescribableTextures',
    oxford_pets='OxfordPets',
    stanford_cars='StanfordCars',
)


@pytest.fixture(scope='module')
def golden(parity):
    with np.load(parity / 'common' / 'fewshot_indices.npz') as file:
        arrays = dict(file)
    return arrays, json.loads((parity / 'common' / 'fewshot_summary.json').read_text())


@pytest.fixture(scope='module', params=sorted(FILES))
def split(request, splits, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param)
    name = f'split_zhou_{FILES[request.param]}.json'
    (root / 'images').mkdir()
    (root / name).write_bytes((splits / name).read_bytes())
    content = json.loads((root / name).read_text())
    return (
        request.param,
        content,
        lambda **kwargs: SplitFileDataset(
            data_root=str(root), split_file=name, img_dir='images', serialize_data=False, **kwargs
        ),
    )


def paths(dataset):
    root = dataset.data_root + '/images/'
    return [info['img_path'].removeprefix(root) for info in dataset.load_data_list()]


@pytest.mark.parametrize('shots', [1, 2, 4, 8, 16])
@pytest.mark.parametrize('seed', [1, 2, 3])
def test_training_subset(golden, split, shots, seed):
    arrays, _ = golden
    name, content, build = split
    for subset in ('all', 'base', 'new'):
        dataset = build(split='train', subset=subset, num_shots=shots, seed=seed)
        key = f'{name}.shot{shots}.seed{seed}.{subset}'
        assert paths(dataset) == [content['train'][i][0] for i in arrays[f'{key}.train_index']]
        assert dataset.get_gt_labels().tolist() == arrays[f'{key}.train_label'].tolist()
    validation = build(split='val', num_shots=shots, seed=seed)
    expected = arrays[f'{name}.shot{shots}.seed{seed}.all.val_index']
    assert paths(validation) == [content['val'][i][0] for i in expected]


def test_test_split_and_class_names(golden, split):
    arrays, summary = golden
    name, content, build = split
    for subset in ('all', 'base', 'new'):
        dataset = build(split='test', subset=subset, num_shots=16)
        assert paths(dataset) == [
            content['test'][i][0] for i in arrays[f'{name}.{subset}.test_index']
        ]
        assert dataset.get_gt_labels().tolist() == arrays[f'{name}.{subset}.test_label'].tolist()
        assert dataset.metainfo['branch'] == ('new' if subset == 'new' else 'base')
    assert str(summary[name]['n_train']) == str(len(content['train']))
