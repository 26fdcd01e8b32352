"""Protocols: what is run, what is shared, what is skipped, and the table."""
import json

import pytest

from fvgpt.engine.protocol import load_protocol, plan, run_protocol, summary

from ..conftest import ROOT

# stands for tools/train.py: notes each call, fails where it is told to, writes results
FAKE_TRAIN = '''
import json, pathlib, sys
recipe, folder, seed = sys.argv[1], pathlib.Path(sys.argv[3]), int(sys.argv[5])
with open({calls!r}, 'a') as file:
    file.write(folder.name + ' ' + ' '.join(sys.argv[6:]) + chr(10))
if pathlib.Path({broken!r}).exists() and seed == 2:
    sys.exit('error: planted')
rows = dict(base=80. + seed, new=70. - seed, h=0.)
(folder / 'results.json').write_text(json.dumps(dict(fvgpt=rows) if 'fvg' in recipe else dict(tuner=rows)))
'''


@pytest.fixture
def setting(tmp_path):
    calls, broken = tmp_path / 'calls.txt', tmp_path / 'broken'
    train = tmp_path / 'train.py'
    train.write_text(FAKE_TRAIN.format(calls=str(calls), broken=str(broken)))
    return ROOT / 'configs' / 'protocols' / 'quickstart_ablation.py', tmp_path / 'work', train, calls, broken


def test_second_stages_share_their_tuner(setting):
    protocol, work_dir, *_ = setting
    tuners, asked = plan(load_protocol(str(protocol)), [1, 2], work_dir, {'num_shots': 4})
    assert len(tuners) == 2 and len(asked) == 10
    for run in asked:
        backbone = run.options['model.backbone_checkpoint']
        assert backbone.endswith(f'seed{run.seed}/epoch_10.pth') and run.options['num_shots'] == 4
    assert {t.options['num_shots'] for t in tuners} == {4}
    assert not any(key.startswith('model.') for t in tuners for key in t.options)


def test_finished_runs_are_skipped_and_failures_are_taken_up(setting, capsys):
    protocol, work_dir, train, calls, broken = setting
    broken.touch()
    results = run_protocol(str(protocol), [1, 2], work_dir, train, jobs=2)
    assert all(len(rows['fvgpt']) == 1 for rows in results.values()) and len(results) == 5
    assert 'FAILED' in capsys.readouterr().out
    assert 'planted' in (work_dir / 'PC only' / 'seed2' / 'log.txt').read_text()
    broken.unlink()
    calls.unlink()
    results = run_protocol(str(protocol), [1, 2], work_dir, train, jobs=2)
    assert all(len(rows['fvgpt']) == 2 for rows in results.values())
    assert all('seed2' in line for line in calls.read_text().splitlines()), 'only what had failed is run again'
    assert len(calls.read_text().splitlines()) == 6
    table = summary(results)
    assert '| run | tuner + FVG-PT: base / new / H | seeds |' in table
    assert '| PC only | 81.50 ± 0.71 / 68.50 ± 0.71 / 74.44 ± 0.00 | 2 |' in table
    assert json.loads((work_dir / 'FDC only' / 'seed1' / 'results.json').read_text())['fvgpt']['base'] == 81


def test_wrong_protocols_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='there is no protocol'):
        load_protocol(str(tmp_path / 'none.py'))
    (tmp_path / 'empty.py').write_text('a = 1')
    with pytest.raises(ValueError, match='has no `runs`'):
        load_protocol(str(tmp_path / 'empty.py'))
    (tmp_path / 'lost.py').write_text("runs = dict(x=dict(recipe='lost_recipe.py'))")
    with pytest.raises(FileNotFoundError, match="of the run 'x' does not exist"):
        load_protocol(str(tmp_path / 'lost.py'))
