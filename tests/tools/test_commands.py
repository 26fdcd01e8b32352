"""The commands a user types, on a shortened quickstart."""

import json
import re

import open_clip
import pytest
import torch

from fvgpt.tuners.provenance import PROVENANCE

from ..conftest import ROOT, free_port, run_tool

RECIPE = 'configs/fvgpt/coop_fvg_quickstart.py'
SOURCES = ['zero_shot', 'tuner', 'fvgpt']


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    return tmp_path_factory.mktemp('data')


@pytest.fixture(scope='module')
def options(data_root):
    """Two epochs and a tenth of the test images."""
    few = [f'{part}.dataset.test_per_class=5' for part in ('train_dataloader', 'test_dataloader')]
    return [f'data_root={data_root}', 'train_cfg.max_epochs=2', 'num_shots=4', *few]


@pytest.fixture(scope='module')
def finished(tmp_path_factory, options):
    """Work dir and output of one run of both stages."""
    work_dir = tmp_path_factory.mktemp('run')
    done = run_tool(
        'tools/train.py', RECIPE, '--work-dir', work_dir, '--seed', 2, '--cfg-options', *options
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return work_dir, done.stdout


def test_both_stages_end_with_one_table_and_results(finished):
    work_dir, stdout = finished
    results = json.loads((work_dir / 'results.json').read_text())
    assert list(results) == SOURCES
    for row in results.values():
        assert set(row) == {'base', 'new', 'h'}
        assert row['h'] == pytest.approx(
            2 * row['base'] * row['new'] / (row['base'] + row['new']), abs=1e-3
        )
    table = stdout[stdout.rindex('zero-shot CLIP') :].splitlines()
    assert [line.split()[-1] for line in table[:3]] == [f'{results[s]["h"]:.2f}' for s in SOURCES]
    assert 'eta' in stdout


def test_checkpoint_is_small_plain_and_has_its_provenance(finished):
    work_dir, _ = finished
    path = work_dir / 'epoch_2.pth'
    assert path.stat().st_size < 2_000_000
    allowed = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()  # the file must not need what import fvgpt allows
    try:
        checkpoint = torch.load(path, weights_only=True)
    finally:
        torch.serialization.add_safe_globals(allowed)
    recorded = checkpoint['meta'][PROVENANCE]
    assert (
        recorded['tuner'] == 'CoOp'
        and recorded['clip'] == 'quickstart'
        and len(recorded['clip_weights']) == 64
    )
    assert (
        recorded['seed'] == 2 and recorded['num_shots'] == 4 and len(recorded['class_names']) == 20
    )
    assert not any('clip' in key or 'visual' in key for key in checkpoint['state_dict'])


def test_evaluation_of_the_checkpoint_gives_the_same_numbers_without_masks(
    finished, options, data_root, tmp_path
):
    work_dir, _ = finished
    masks = data_root / 'mask'
    masks.rename(data_root / 'hidden')
    try:
        done = run_tool(
            'tools/test.py',
            RECIPE,
            work_dir / 'epoch_2.pth',
            '--work-dir',
            tmp_path,
            '--cfg-options',
            *options,
        )
    finally:
        (data_root / 'hidden').rename(masks)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / 'results.json').read_text() == (work_dir / 'results.json').read_text()


def test_a_second_run_takes_the_finished_tuner_and_other_settings_are_refused(finished, options):
    work_dir, _ = finished
    done = run_tool(
        'tools/train.py',
        RECIPE,
        '--work-dir',
        work_dir,
        '--seed',
        2,
        '--resume',
        '--cfg-options',
        *options,
    )
    assert done.returncode == 0 and 'stage 1 is done' in done.stdout
    other = run_tool(
        'tools/train.py', RECIPE, '--work-dir', work_dir, '--seed', 3, '--cfg-options', *options
    )
    assert other.returncode == 1 and 'trained with other settings' in other.stderr


def test_backbone_checkpoint_is_taken(finished, options, tmp_path):
    work_dir, _ = finished
    done = run_tool(
        'tools/train.py',
        RECIPE,
        '--work-dir',
        tmp_path,
        '--seed',
        2,
        '--cfg-options',
        *options,
        f'model.backbone_checkpoint={work_dir / "tuner" / "epoch_2.pth"}',
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert not (tmp_path / 'tuner').exists()
    assert_same_bits(tmp_path / 'epoch_2.pth', work_dir / 'epoch_2.pth')
    assert (tmp_path / 'results.json').read_text() == (work_dir / 'results.json').read_text()


def test_the_tuner_alone(finished, options, tmp_path):
    done = run_tool(
        'tools/train.py',
        'configs/fvgpt/coop_quickstart.py',
        '--work-dir',
        tmp_path,
        '--seed',
        2,
        '--cfg-options',
        *options,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert list(json.loads((tmp_path / 'results.json').read_text())) == ['tuner']
    assert_same_bits(tmp_path / 'epoch_2.pth', finished[0] / 'tuner' / 'epoch_2.pth')


def assert_same_bits(path, other):
    one, two = (torch.load(file, weights_only=True)['state_dict'] for file in (path, other))
    assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def test_a_checkpoint_of_the_tuner_is_none_of_fvgpt(finished, options, tmp_path):
    done = run_tool(
        'tools/test.py',
        RECIPE,
        finished[0] / 'tuner' / 'epoch_2.pth',
        '--work-dir',
        tmp_path,
        '--cfg-options',
        *options,
    )
    assert done.returncode == 1
    assert 'does not fit this FVGPT' in done.stderr and 'Missing key' in done.stderr
    assert not (tmp_path / 'results.json').exists()


def test_a_run_records_versions_and_settings(finished):
    work_dir, _ = finished
    record = json.loads((work_dir / 'run.json').read_text())
    train, test = record['train'], record['test']
    assert train['command'][0] == 'tools/train.py' and '--seed' in train['command']
    assert train['seed'] == 2 and train['processes'] == 1 and train['config']['num_shots'] == 4
    assert (
        train['versions']['torch'] == str(torch.__version__)
        and train['versions']['open_clip'] == open_clip.__version__
    )
    recorded = torch.load(work_dir / 'epoch_2.pth', weights_only=True)['meta'][PROVENANCE]
    assert (
        train['split'] == recorded['split']
        and len(train['split']) == 64
        and train['recipe'] == recorded['recipe']
    )
    assert (
        recorded['versions'] == train['versions'] == test['versions']
        and recorded['git'] == train['git']
    )
    assert (
        json.loads((work_dir / 'tuner' / 'run.json').read_text())['train']['config']['model'][
            'type'
        ]
        == 'CoOp'
    )


def test_two_processes_train_like_one(options, tmp_path):
    """The same global batch is seen, augmented alike by the loader workers of either."""
    results = []
    for processes in (1, 2):
        work_dir = tmp_path / str(processes)
        done = run_tool(
            'bash',
            'tools/dist_train.sh',
            RECIPE,
            processes,
            '--work-dir',
            work_dir,
            '--cfg-options',
            *options,
            f'train_dataloader.batch_size={4 // processes}',
            'train_dataloader.num_workers=1',
            'train_cfg.max_epochs=1',
            env=dict(PORT=str(free_port()), OMP_NUM_THREADS='1'),
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
        state = torch.load(work_dir / 'epoch_1.pth', weights_only=True)['state_dict']
        results.append((json.loads((work_dir / 'results.json').read_text()), state))
    (one, state_one), (two, state_two) = results
    for source in SOURCES:
        assert one[source] == pytest.approx(
            two[source], abs=1.01
        )  # one image of 100 may change sides
    for key in state_one:
        torch.testing.assert_close(state_one[key], state_two[key], atol=1e-4, rtol=1e-2, msg=key)


# ------------------------------------------------------------------ wrong input
@pytest.mark.parametrize(
    'arguments, message',
    [
        (['configs/none.py'], f'there is no recipe configs/none.py in {ROOT}'),
        (
            ['configs/fvgpt/coop_fvg_quickstrat.py'],
            'quickstrat.py; did you mean configs/fvgpt/coop_fvg_quickstart.py?',
        ),
        (
            ['configs/fvgpt/coop_fvg_imagenet.py', '--cfg-options', 'data_root=/nowhere'],
            '/nowhere does not exist: data_root',
        ),
        ([RECIPE, '--amp'], '--amp needs a GPU'),
        (
            [RECIPE, '--cfg-options', 'model.backbone_checkpoint=/nowhere/x.pth'],
            'there is no checkpoint /nowhere/x.pth',
        ),
        (
            [RECIPE, '--cfg-options', 'num_shot=4'],
            "no key 'num_shot', num_shot=... would change nothing; did you mean num_shots?",
        ),
        (
            [RECIPE, '--cfg-options', 'num_shots=four'],
            "num_shots must be a whole number of at least 1, or None for all images, not 'four'",
        ),
        (
            [RECIPE, '--cfg-options', 'model.fg_fil=black'],
            "model: FVGPT has no parameter 'fg_fil'; did you mean fg_fill?",
        ),
        (
            [RECIPE, '--cfg-options', 'model.tuner.type=CoOpp'],
            "model.tuner.type: there is no model 'CoOpp'; did you mean CoOp?",
        ),
        (
            [RECIPE, '--cfg-options', 'train_cfg.max_epoch=1'],
            "train_cfg: EpochBasedTrainLoop has no parameter 'max_epoch'; did you mean max_epochs?",
        ),
        (
            [RECIPE, '--cfg-options', 'clip.name=ViT-B-61', 'clip.pretrained=openai'],
            "no model 'ViT-B-61'",
        ),
    ],
)
def test_wrong_input_is_one_line(arguments, message, data_root, tmp_path):
    if torch.cuda.is_available() and '--amp' in arguments:
        pytest.skip('there is a GPU')
    if RECIPE in arguments:
        arguments = [
            *arguments,
            *([] if '--cfg-options' in arguments else ['--cfg-options']),
            f'data_root={data_root}',
        ]
    done = run_tool('tools/train.py', *arguments, '--work-dir', tmp_path)
    assert done.returncode == 1 and 'Epoch(train)' not in done.stdout
    last = done.stderr.strip().splitlines()
    assert message in done.stderr and 'Traceback' not in done.stderr
    assert last[-1].startswith('(FVGPT_TRACEBACK=1')


def test_a_recipe_that_is_not_valid_python_is_one_line(tmp_path):
    (tmp_path / 'broken.py').write_text(
        "_base_ = 'fvgpt::fvgpt/coop_quickstart.py'\nmodel = dict(\n"
    )
    done = run_tool('tools/train.py', tmp_path / 'broken.py', '--work-dir', tmp_path)
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    assert re.search(
        r'error: .*broken\.py, or one of its _base_ files, is not valid Python in line 2: '
        r"'\(' was never closed",
        done.stderr,
    )


def test_an_option_without_a_value_is_an_error_of_the_parser():
    done = run_tool('tools/train.py', RECIPE, '--cfg-options', 'num_shots=4', 'seed')
    assert done.returncode == 2 and done.stderr.endswith(
        "error: argument --cfg-options: 'seed' is not KEY=VALUE\n"
    )


def test_wrong_data_path_is_found_before_the_weights(tmp_path):
    done = run_tool(
        '-c',
        f"""
import sys
sys.argv = ['train.py', 'configs/fvgpt/coop_fvg_imagenet.py', '--work-dir', {str(tmp_path)!r},
            '--cfg-options', 'data_root=/nowhere']
sys.path.insert(0, 'tools')
import fvgpt, fvgpt.clip.weights as w
w.load_clip = lambda *a: 1 / 0
import train
train.main()
""",
    )
    assert '/nowhere does not exist: data_root must be the folder with the data sets' in done.stderr
