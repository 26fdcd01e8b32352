"""Recipes with folds: their tuners are trained on the other images, and found again."""

import json

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset

from fvgpt.engine.runner.folds import (
    check_fold_checkpoints,
    fold_count,
    leave_out_fold,
    training_folds,
)
from fvgpt.engine.runner.recipe import load_recipe, run_recipe
from fvgpt.engine.runner.resolve import resolve
from fvgpt.engine.runner.stage_one import fold_configs
from fvgpt.registry import DATASETS, RUNNERS
from fvgpt.tuners.provenance import PROVENANCE, Provenance

from ...conftest import ROOT
from ...datasets.feature_files import write

RECIPE = str(ROOT / 'configs' / 'fvgpt' / 'coop_fvg_quickstart.py')
LABELS = [0, 1, 0, 2, 1, 0, 2, 2, 1, 0, 2, 1]


@DATASETS.register_module(force=True)
class Rows(BaseDataset):
    """A data set without files: labels only."""

    METAINFO = dict(classes=('a', 'b', 'c'))

    def load_data_list(self):
        return [dict(row=row, gt_label=label) for row, label in enumerate(LABELS)]


def rows(model=None, **keys):
    dataset = dict(type='Rows', **keys.pop('dataset', {}))
    return Config(
        dict(
            model=model or dict(type='TipAdapter', cache_size=12),
            train_dataloader=dict(dataset=dataset),
            randomness=dict(seed=1),
            default_scope='mmpretrain',
            **keys,
        )
    )


def rows_of(config):
    dataset = DATASETS.build(dict(config.train_dataloader.dataset, pipeline=[]))
    return [dataset.get_data_info(index)['row'] for index in range(len(dataset))]


def test_a_tuner_without_a_fold_sees_all_other_images_of_any_data_set():
    """The data set has no files; folds are those of FVG-PT on the same images and seed."""
    of_model = training_folds(rows(dict(type='FVGPT', calibration_folds=3))).folds
    assert len(of_model) == 12 and len(training_folds(rows(dict(calibration_folds=2))).folds) == 12
    for number in (1, 2, 3):
        config = rows(held_out_fold=dict(number=number, of=3))
        for _ in range(2):  # also if the config that a run has written is read again
            leave_out_fold(config)
            assert rows_of(config) == [i for i in range(12) if of_model[i] != number - 1]
        assert config.model.cache_size == config.held_out_fold.images == len(rows_of(config))


@pytest.mark.parametrize('indices', [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 9, -9])
def test_folds_are_parts_of_a_selection_that_the_recipe_makes(indices):
    chosen = rows(dataset=dict(indices=indices))
    both = []
    for number in (1, 2):
        config = rows(dataset=dict(indices=indices), held_out_fold=dict(number=number, of=2))
        leave_out_fold(config)
        both += rows_of(config)
    assert sorted(both) == rows_of(chosen)


def test_without_prior_calibration_there_are_no_folds():
    assert fold_count(dict(calibration_folds=2)) == 2
    assert fold_count({}) == fold_count(dict(calibration_folds=None)) == 0
    assert fold_count(dict(calibration_folds=2, calibration=None)) == 0
    assert training_folds(rows({})) is None


@pytest.mark.parametrize('held_out', [dict(number=3, of=2), dict(number=0, of=2), dict(number=1)])
def test_a_fold_that_does_not_exist_is_refused(held_out):
    with pytest.raises(ValueError, match='held_out_fold must be'):
        leave_out_fold(rows(held_out_fold=held_out))


def test_a_data_set_without_indices_is_refused():
    config = rows(dict(calibration_folds=2))
    config.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[dict(type='Rows')])
    with pytest.raises(ValueError, match='is a ConcatDataset; set model.calibration_folds=None'):
        training_folds(config)


def fold_recipe(**options):
    config = load_recipe(RECIPE, {'model.calibration_folds': 2, **options})
    config.work_dir = 'work'
    return config


def test_the_tuners_of_the_folds_have_the_recipe_of_stage_1():
    configs = fold_configs(fold_recipe(num_shots=4, **{'model.tuner.n_ctx': 2}))
    assert [config.work_dir for config in configs] == ['work/tuner_fold1of2', 'work/tuner_fold2of2']
    for number, config in enumerate(configs, 1):
        assert config.model.type == 'CoOp' and config.model.n_ctx == 2 and config.num_shots == 4
        assert config.held_out_fold == dict(number=number, of=2)
        assert resolve(config).to_dict() == config.to_dict()
    assert fold_configs(fold_recipe(**{'model.fold_checkpoints': ['a', 'b']})) == []
    assert fold_configs(fold_recipe(**{'model.calibration': None})) == []


@pytest.mark.parametrize(
    'options, given',
    [
        ({'model.backbone_checkpoint': 'x.pth'}, 'given by model.backbone_checkpoint'),
        ({'load_from': 'x.pth'}, 'given by load_from'),
        ({'tuner_recipe': None}, 'the recipe has no tuner_recipe'),
    ],
)
def test_a_tuner_from_elsewhere_needs_its_folds_from_there(options, given):
    config = fold_recipe()
    config.merge_from_dict(options)
    with pytest.raises(ValueError, match=f'needs model.fold_checkpoints too, .* {given}'):
        fold_configs(config)


def test_checkpoints_of_other_images_are_refused(tmp_path):
    folds = training_folds(fold_recipe(num_shots=2, data_root=str(tmp_path / 'data')))
    assert len(set(folds.splits)) == 2
    files = []
    for number, split in enumerate(folds.splits, 1):
        files.append(str(tmp_path / f'{number}.pth'))
        recorded = Provenance(split=split, held_out_fold=dict(number=number, of=2, images=20))
        meta = {PROVENANCE: recorded.to_dict()}
        torch.save(dict(meta=meta, state_dict={}), files[-1])
    check_fold_checkpoints(files, folds)
    with pytest.raises(ValueError, match=r'without fold 1 of 2 \(it was trained without fold 2 of'):
        check_fold_checkpoints(files[::-1], folds)
    with pytest.raises(ValueError, match='has 1 files for 2 folds'):
        check_fold_checkpoints(files[:1], folds)
    with pytest.raises(FileNotFoundError):
        check_fold_checkpoints(['none.pth', files[1]], folds)


# ------------------------------------------------------------------ runs
def options(tmp_path, **more):
    few = {f'{part}_dataloader.dataset.test_per_class': 2 for part in ('train', 'test')}
    return {
        'data_root': str(tmp_path.parent / 'data_of_folds'),
        'train_cfg.max_epochs': 1,
        'num_shots': 2,
        'seed': 1,
        'model.calibration_folds': 2,
        **few,
        **more,
    }


def test_a_recipe_with_folds_runs_and_goes_on_where_it_was_killed(tmp_path):
    """Killed after the first of the fold tuners; also with the checkpoints given by hand."""

    def run(name, resume=False, **more):
        run_recipe(RECIPE, str(tmp_path / name), options(tmp_path, **more), resume, test=False)

    run('whole')
    parts = {'tuner': None, 'tuner_fold1of2': 1, 'tuner_fold2of2': 2}

    def saved(run, part=''):
        return torch.load(tmp_path / run / part / 'epoch_1.pth', weights_only=True)

    splits = set()
    for part, number in parts.items():
        recorded = saved('whole', part)['meta'][PROVENANCE]
        splits.add(recorded['split'])
        expected = dict(number=number, of=2, images=20) if number else None
        assert recorded.get('held_out_fold') == expected
    assert len(splits) == 3
    final = saved('whole')
    assert final['meta'][PROVENANCE]['calibration_folds'] == 2
    assert {key.split('.')[0] for key in final['state_dict']} == {
        'tuner',
        'compensation',
        'reliability_gate',
        'calibration',
    }
    log = next((tmp_path / 'whole').glob('*/*.log')).read_text()
    assert log.count('calibration_folds=2: stage 1 runs again in') == 1

    runner = RUNNERS.get('PromptTuningRunner')
    tuned, done = runner._tuned, []

    def killed(self, config):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(config)
        return tuned(self, config)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(runner, '_tuned', killed)
        run('killed', resume=True)
    before = (tmp_path / 'killed' / 'tuner_fold1of2' / 'epoch_1.pth').stat().st_mtime_ns
    run('killed', resume=True)
    assert (tmp_path / 'killed/tuner_fold1of2/epoch_1.pth').stat().st_mtime_ns == before
    by_hand = {
        'model.backbone_checkpoint': str(tmp_path / 'whole' / 'tuner' / 'epoch_1.pth'),
        'model.fold_checkpoints': [
            str(tmp_path / 'whole' / part / 'epoch_1.pth') for part in list(parts)[1:]
        ],
    }
    run('given', **by_hand)
    for name in ('killed', 'given'):
        for key, value in final['state_dict'].items():
            assert torch.equal(saved(name)['state_dict'][key], value), (name, key)
    record = json.loads((tmp_path / 'given' / 'run.json').read_text())
    assert record['train']['config']['model']['calibration_folds'] == 2


def test_precomputed_features_have_folds_without_any_image_or_tower(tmp_path):
    settings = {
        'feature_file': str(write(tmp_path / 'features.safetensors')),
        'model.calibration_folds': 2,
        'train_cfg.max_epochs': 1,
        'seed': 1,
    }
    recipe = str(ROOT / 'configs' / 'fvgpt' / 'linear_text_fvg_features.py')
    run_recipe(recipe, str(tmp_path / 'run'), settings, test=False)
    for part in ('tuner_fold1of2', 'tuner_fold2of2'):
        content = torch.load(tmp_path / 'run' / part / 'epoch_1.pth', weights_only=True)
        assert content['meta'][PROVENANCE]['held_out_fold']['images'] == 6
    assert (tmp_path / 'run' / 'epoch_1.pth').is_file()


def test_fewer_shots_than_folds_are_refused_before_stage_1(tmp_path):
    with pytest.raises(ValueError, match=r'calibration_folds=3 needs 3 .* has 2: set num_shots'):
        run_recipe(RECIPE, str(tmp_path), options(tmp_path, **{'model.calibration_folds': 3}))
    assert not (tmp_path / 'tuner').exists()
