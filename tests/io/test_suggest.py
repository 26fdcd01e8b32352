"""Errors about unknown names suggest the closest known one."""

from fvgpt.io.suggest import missing_file, suggest


def test_the_closest_name_is_suggested():
    assert suggest('num_shot', ['seed', 'num_shots', 'num_workers']) == '; did you mean num_shots?'
    assert suggest('xyz', ['seed', 'num_shots']) == ''


def test_files_in_the_same_folder_and_inside_it_are_suggested(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'runs').mkdir()
    for name in ('epoch_10.pth', 'epoch_11.txt'):
        (tmp_path / 'runs' / name).touch()
    assert str(missing_file('checkpoint', 'runs/epoch_11.pth', '.pth')) == (
        'there is no checkpoint runs/epoch_11.pth; did you mean runs/epoch_10.pth?'
    )
    assert (
        str(missing_file('recipe', 'configs/x.py', '.py'))
        == f'there is no recipe configs/x.py in {tmp_path}'
    )
    assert str(missing_file('checkpoint', tmp_path / 'runs', '.pth')) == (
        f'there is no checkpoint {tmp_path}/runs; did you mean {tmp_path}/runs/epoch_10.pth?'
    )
    assert (
        str(missing_file('checkpoint', '/none/x.pth', '.pth'))
        == 'there is no checkpoint /none/x.pth'
    )
