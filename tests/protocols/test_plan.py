"""Protocols: what is run, in what order, what is shared, and which settings reach which stage."""

import json

import pytest
from mmengine.config import Config

from fvgpt.engine.runner.config_parts import built_datasets
from fvgpt.protocols.plan import Run, load_protocol, plan, recipe_text, write_plan

from ..conftest import ROOT

PROTOCOLS = ROOT / 'configs' / 'protocols'


def made(name, work_dir, **kwargs):
    protocol = load_protocol(str(PROTOCOLS / f'{name}.py'))
    return protocol, plan(
        protocol, kwargs.pop('seeds', [1]), work_dir, **{**dict(datasets=['quickstart']), **kwargs}
    )


def test_second_stages_share_their_tuner(tmp_path):
    _, runs = made('ablation_modules', tmp_path, seeds=[1, 2], options={'num_shots': 4})
    tuners, asked = [r for r in runs if r.labels is None], [r for r in runs if r.labels]
    assert len(tuners) == 2 and len(asked) == 10
    for run in asked:
        (tuner,) = run.needs
        assert tuner in tuners and tuner.seed == run.seed
        assert run.config.model.backbone_checkpoint == str(tuner.product)
        assert (
            tuner.product.name == 'epoch_10.pth'
            and run.config.num_shots == tuner.config.num_shots == 4
        )
    switched = {run.labels['variant']: run.config.model for run in asked}
    assert switched['PC only'].compensation is None and 'compensation' not in switched['FRG+FDC+PC']
    assert len({run.folder for run in runs}) == len(runs)


def test_second_stages_share_the_tuners_of_the_folds(tmp_path):
    """Those with PC and the same number of folds; without PC, none are needed."""
    options = {'model.calibration_folds': 2}
    _, runs = made('ablation_modules', tmp_path, seeds=[1, 2], options=options)
    tuners, asked = [r for r in runs if r.labels is None], [r for r in runs if r.labels]
    assert len(tuners) == 2 * 3 and len(asked) == 10
    for run in asked:
        tuner, *folds = run.needs
        assert all(need in tuners and need.seed == run.seed for need in run.needs)
        assert len(folds) == (0 if run.config.model.get('calibration', {}) is None else 2)
        assert run.config.model.get('fold_checkpoints', []) == [str(f.product) for f in folds]
        assert 'held_out_fold' not in {*tuner.config, *run.config}
        for number, fold in enumerate(folds, 1):
            assert fold.config.held_out_fold == dict(number=number, of=2)
            assert fold.config.model == tuner.config.model and fold.folder != tuner.folder
    _, paper = made('base_to_new', tmp_path, tuners=['coop'], seeds=[1])
    assert paper[0].folder == asked[0].needs[0].folder


def test_settings_reach_their_stages(tmp_path):
    _, runs = made(
        'cross_dataset',
        tmp_path,
        tuners=['promptsrc'],
        datasets=['imagenet'],
        options={'data_root': '/data'},
    )
    tuner, run = runs
    assert tuner.config.model.depth_text == run.config.model.tuner.depth_text == 3
    assert tuner.config.default_hooks.prompt_aggregation.mean == 6
    assert run.config.default_hooks.prompt_aggregation is None
    for config in (tuner.config, run.config):
        assert config.train_dataloader.batch_size == 4 and config.train_cfg.max_epochs == 5
        assert config.train_dataloader.dataset.subset == 'all' and config.data_root == '/data'
    columns = {
        d.metainfo['column']: d.metainfo['branch'] for d in built_datasets(run.config, ['test'])
    }
    assert (
        columns.pop('imagenet') == 'base'
        and len(columns) == 10
        and set(columns.values()) == {'new'}
    )
    assert run.product.name == 'results.json'


def test_options_for_the_tuner_inside_reach_its_own_recipe(tmp_path):
    options = {'model.tuner.n_ctx': 2, 'model.fg_fill': 'black'}
    _, (tuner, run) = made('base_to_new', tmp_path, tuners=['coop'], options=options)
    assert tuner.config.model.n_ctx == run.config.model.tuner.n_ctx == 2
    assert run.config.model.fg_fill == 'black' and 'fg_fill' not in tuner.config.model


def test_settings_of_a_single_data_set(tmp_path):
    _, runs = made('few_shot', tmp_path, tuners=['promptsrc'], datasets=['dtd', 'caltech101'])
    peaks = {
        (
            run.config.test_dataloader.dataset.split_file,
            run.config.default_hooks.prompt_aggregation.mean,
        )
        for run in runs
        if run.labels is None
    }
    assert {peak for _, peak in peaks} == {45, 30} and len(peaks) == 2
    assert {run.labels['variant']: run.config.num_shots for run in runs if run.labels} == {
        '1 shot': 1,
        '2 shots': 2,
        '4 shots': 4,
        '8 shots': 8,
        '16 shots': 16,
    }


def test_the_open_world_is_measured_beside_both_halves(tmp_path):
    _, runs = made('open_world', tmp_path, tuners=['kgcoop'])
    sets = {d.metainfo['column']: d for d in built_datasets(runs[-1].config, ['test'])}
    assert {column: (d.subset, d.metainfo['branch']) for column, d in sets.items()} == {
        'base': ('base', 'base'),
        'new': ('new', 'new'),
        'open': ('all', 'open'),
    }
    assert sets['open'].metainfo['halves']


def test_a_recipe_of_one_stage_needs_nothing(tmp_path):
    _, runs = made('cost', tmp_path)
    alone = [run for run in runs if run.labels and run.labels['variant'] == 'tuner alone']
    assert len(runs) == 3 and alone[0].needs == () and alone[0].config.model.type == 'MMRL'


@pytest.mark.parametrize('path', sorted(PROTOCOLS.glob('*.py')), ids=lambda p: p.stem)
def test_every_protocol_plans_and_its_recipes_can_be_written_and_read(path, tmp_path):
    protocol = load_protocol(str(path))
    runs = plan(protocol, [1], tmp_path, list(protocol.tuners)[:1], protocol.datasets[:1])
    assert {run.labels['variant'] for run in runs if run.labels} == set(protocol.variants)
    run = runs[-1]
    run.prepare()
    assert Config.fromfile(run.recipe).to_dict() == run.config.to_dict()
    assert set(protocol.average) <= set(protocol.columns)


def test_a_folder_with_other_settings_is_refused_by_name(tmp_path):
    config = Config(dict(model=dict(type='CoOp'), num_shots=16, scale=(1, 2)))
    run = Run('coop', config, 1, tmp_path / 'run', tmp_path / 'run' / 'results.json')
    run.prepare()
    run.prepare()
    assert Config.fromfile(run.recipe).scale == (1, 2), recipe_text(config)
    other = Run('coop', Config(dict(config.to_dict(), num_shots=4)), 1, run.folder, run.product)
    with pytest.raises(
        ValueError, match='was made with other settings of num_shots; choose another --work-dir'
    ):
        other.prepare()


def test_the_plan_grows_and_belongs_to_one_protocol(tmp_path):
    for tuner in ('coop', 'kgcoop', 'coop'):
        protocol, runs = made('base_to_new', tmp_path, tuners=[tuner])
        write_plan(protocol, runs, tmp_path)
    content = json.loads((tmp_path / 'protocol.json').read_text())
    assert [run['tuner'] for run in content['runs']] == ['coop', 'kgcoop'] and content[
        'columns'
    ] == ['base', 'new', 'h']
    assert content['runs'][0]['folder'] == 'coop_quickstart/seed1'
    other, runs = made('lambda_d', tmp_path)
    with pytest.raises(ValueError, match="contains the runs of 'base_to_new'"):
        write_plan(other, runs, tmp_path)


@pytest.mark.parametrize(
    'text, message',
    [
        ('a = 1', "unknown key 'a'"),
        ("title = 'x'", 'has no `tuners`'),
        ("title = 'x'\ntuners = ['coop']", 'has no `datasets`'),
        (
            "title = 'x'\ntuners = dict(coop=dict(epochs=3))\ndatasets = ['dtd']",
            "'coop' may have options, stage1, stage2, not 'epochs'",
        ),
    ],
)
def test_wrong_protocols_are_named(tmp_path, text, message):
    with pytest.raises(FileNotFoundError, match='there is no protocol'):
        load_protocol(str(tmp_path / 'none.py'))
    (tmp_path / 'wrong.py').write_text(text)
    with pytest.raises(ValueError, match=message):
        load_protocol(str(tmp_path / 'wrong.py'))


def test_unknown_tuners_and_test_sets_are_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match="for the tuner 'copo' and the data set 'quickstart'"
    ):
        made('base_to_new', tmp_path, tuners=['copo'])
    (tmp_path / 'configs' / 'protocols').mkdir(parents=True)
    path = tmp_path / 'configs' / 'protocols' / 'own.py'
    path.write_text(
        "title = 'x'\ntuners = ['coop']\ndatasets = ['quickstart']\n"
        "evaluate = dict(new=dict(dataset='lost'))\n"
        f"recipe = '{ROOT}/configs/fvgpt/{{tuner}}_fvg_{{dataset}}.py'"
    )
    with pytest.raises(FileNotFoundError, match="evaluates on 'lost'"):
        plan(load_protocol(str(path)), [1], tmp_path)
