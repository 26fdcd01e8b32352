"""Classifying images from the terminal, and exporting what does it."""

import json

import pytest

from ..conftest import run_tool
from ..saved import TRAINED, draw_image, keep_weights, save_model


@pytest.fixture(scope='module')
def place(random_clip_folder, tmp_path_factory):
    """A folder with a checkpoint, images and a file that is none."""
    folder = tmp_path_factory.mktemp('place')
    save_model(folder / 'model.pth', keep_weights(random_clip_folder, folder / 'clip'))
    (folder / 'photos').mkdir()
    for seed in range(3):
        draw_image(folder / 'photos' / f'{seed}.png', seed)
    (folder / 'broken.png').write_text('no image')
    return folder


def predict(place, *arguments, checkpoint='model.pth'):
    return run_tool(
        'tools/predict.py',
        *arguments,
        *(['--checkpoint', place / checkpoint] if checkpoint else []),
    )


def test_json_lines_and_table_say_the_same(place):
    names = ['--classes', 'red bus', *TRAINED, '--topk', 2, '--compare']
    lines = predict(
        place, place / 'photos', place / 'photos' / '0.png', '--json', '--batch-size', 2, *names
    )
    assert lines.returncode == 0, lines.stderr
    found = [json.loads(line) for line in lines.stdout.splitlines()]
    assert [entry['path'] for entry in found] == [
        str(place / 'photos' / f'{n}.png') for n in (0, 1, 2, 0)
    ]
    assert all(set(entry) == {'path', 'predictions', 'tuner', 'zero_shot'} for entry in found)
    assert all(len(entry['predictions']) == 2 for entry in found) and found[0] == found[3]

    table = predict(place, place / 'photos', *names).stdout.splitlines()
    assert table[0].split() == ['image', 'CoOp', '+', 'FVG-PT', 'CoOp', 'zero-shot', 'CLIP']
    for entry, line in zip(found, table[1::2]):
        assert line.startswith(entry['path'])
        for source in ('predictions', 'tuner', 'zero_shot'):
            assert (
                entry[source][0]['class'] in line
                and f'{100 * entry[source][0]["score"]:.2f}' in line
            )


def test_class_names_from_a_file_and_default_ones(place, tmp_path):
    (tmp_path / 'names.txt').write_text('\ufeffred bus\n\n  café \n', encoding='utf-8')
    done = predict(place, place / 'photos', '--json', '--classes-file', tmp_path / 'names.txt')
    assert {p['class'] for p in json.loads(done.stdout.splitlines()[0])['predictions']} == {
        'red bus',
        'café',
    }
    done = predict(place, place / 'photos', '--json')
    assert {p['class'] for p in json.loads(done.stdout.splitlines()[0])['predictions']} == set(
        TRAINED
    )


def test_class_names_that_look_alike_give_a_warning_and_are_used(place, tmp_path):
    told = (
        '2 of 3 class names give the same prompt as another one (CLIP ignores case), the first is '
        "'red_bus'; rename them if they are different classes\n"
    )
    done = predict(place, place / 'photos', '--json', '--classes', 'red_bus', 'café', 'Red bus')
    assert done.returncode == 0 and done.stderr.count(f'warning: --classes: {told}') == 1
    assert [len(json.loads(line)['predictions']) for line in done.stdout.splitlines()] == [3, 3, 3]
    (tmp_path / 'names.txt').write_text('red_bus\ncafé\nRed bus\n', encoding='utf-8')
    done = predict(place, place / 'photos', '--json', '--classes-file', tmp_path / 'names.txt')
    assert f'names.txt: {told}' in done.stderr
    assert 'warning' not in predict(place, place / 'photos', '--classes', 'red bus', 'café').stderr


def test_unreadable_files_end_it_or_are_counted(place):
    done = predict(place, place / 'photos', place / 'broken.png')
    assert done.returncode == 1 and 'broken.png cannot be read as an image' in done.stderr
    done = predict(place, place / 'photos', place / 'broken.png', '--skip-unreadable', '--json')
    assert (
        done.returncode == 0
        and len(done.stdout.splitlines()) == 3
        and 'skipped 1 of 4 files' in done.stderr
    )
    done = predict(place, place / 'broken.png', '--skip-unreadable')
    assert done.returncode == 1 and 'none of the files' in done.stderr


@pytest.mark.parametrize(
    'arguments, checkpoint, complaint',
    [
        (['{}/photos'], None, 'coop_fvg_quickstart.py'),
        (['{}/nowhere.png'], 'model.pth', 'there is no image or folder'),
        (['{}/photos', '--topk', '0'], 'model.pth', '--topk must be at least 1'),
        (['{}/photos', '--classes', 'a', '--classes-file', 'b'], 'model.pth', 'not both'),
        (
            ['{}/photos', '--classes-file', '{}/names.txt'],
            'model.pth',
            'there is no file of class names',
        ),
        (['{}/photos', '--classes-file', '{}/photos/0.png'], 'model.pth', 'not UTF-8 text'),
    ],
)
def test_wrong_input_is_one_clear_line(place, arguments, checkpoint, complaint):
    done = predict(
        place, *(argument.format(place) for argument in arguments), checkpoint=checkpoint
    )
    assert done.returncode == 1 and complaint in done.stderr and 'Traceback' not in done.stderr
    assert not done.stdout


def test_a_checkpoint_of_a_real_run_needs_nothing_beside_it(tmp_path):
    parts = ('train_dataloader', 'test_dataloader')
    options = [
        f'data_root={tmp_path / "data"}',
        'train_cfg.max_epochs=1',
        'num_shots=1',
        *(f'{part}.dataset.test_per_class=1' for part in parts),
    ]
    done = run_tool(
        'tools/train.py',
        'configs/fvgpt/coop_fvg_quickstart.py',
        '--work-dir',
        tmp_path / 'run',
        '--no-test',
        '--cfg-options',
        *options,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    draw_image(tmp_path / 'image.png', size=(300, 200))
    for checkpoint in ('run/epoch_1.pth', 'run/tuner/epoch_1.pth'):
        done = predict(
            tmp_path, tmp_path / 'image.png', '--json', '--topk', 20, checkpoint=checkpoint
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert len(json.loads(done.stdout)['predictions']) == 20

    done = run_tool(
        'tools/export.py',
        tmp_path / 'run' / 'epoch_1.pth',
        '--out',
        tmp_path / 'out',
        '--format',
        'bundle',
        '--classes',
        'plain red star',
        'a bus',
    )
    assert done.returncode == 0 and 'load_bundle' in done.stdout
    content = json.loads((tmp_path / 'out' / 'bundle.json').read_text())
    assert (
        content['classes'] == ['plain red star', 'a bus']
        and content['provenance']['num_shots'] == 1
    )
    done = run_tool(
        'tools/export.py',
        tmp_path / 'run' / 'epoch_1.pth',
        '--out',
        tmp_path / 'out',
        '--format',
        'bundle',
    )
    assert done.returncode == 1 and 'exists already' in done.stderr
