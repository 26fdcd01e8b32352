"""Checkpoints of the original trainers come in and go out with the same features."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from fvgpt.tuners.checkpoint import load_tuner

from ..clip.test_frozen_clip import Bomb
from ..conftest import run_tool
from ..parity.golden import load_run
from ..parity.test_methods import build

PREFIXES = dict(
    coop_n4_random=('CoOp', 'prompt_learner.'),
    kgcoop=('KgCoOp', 'prompt_learner.'),
    promptsrc=('PromptSRC', ''),
    maple=('MaPLe', ''),
    mmrl=('MMRL', ''),
)


@pytest.mark.parametrize('run', sorted(PREFIXES))
def test_original_checkpoint_in_and_out(parity, tiny_clip, tmp_path, run):
    tuner_name, prefix = PREFIXES[run]
    arrays, settings = load_run(parity / 'methods' / f'{run}.safetensors')
    batches, _ = load_run(parity / 'common' / 'batches.safetensors')
    state = {
        k.removeprefix('final.').removeprefix(prefix): v
        for k, v in arrays.items()
        if k.startswith('final.')
    }
    state['token_prefix'] = torch.zeros(7, 1, 128)  # class-dependent buffers of the original files
    source = tmp_path / 'model.pth.tar-10'
    torch.save(
        dict(state_dict=state, epoch=10, optimizer=dict(state={}), scheduler={}, val_result=None),
        source,
    )
    done = run_tool('tools/convert_dassl.py', source, tmp_path / 'ours.pth', '--tuner', tuner_name)
    assert done.returncode == 0, done.stderr
    from fvgpt.tuners import CoOp

    tuner = (
        CoOp(tiny_clip, n_ctx=4) if tuner_name == 'CoOp' else build(tiny_clip, tuner_name, settings)
    )
    load_tuner(tuner, str(tmp_path / 'ours.pth'))
    tuner.eval().set_class_names(settings['class_names_new'], 'new')
    torch.testing.assert_close(
        tuner(batches['eval_images'].float()).detach(), arrays['eval_new.logits'], atol=2e-3, rtol=0
    )
    done = run_tool(
        'tools/convert_dassl.py', tmp_path / 'ours.pth', tmp_path / 'ours.safetensors', '--export'
    )
    assert done.returncode == 0, done.stderr
    exported = load_file(tmp_path / 'ours.safetensors')
    assert {k: v.shape for k, v in exported.items()} == {
        k: v.shape for k, v in tuner.state_dict().items()
    }
    with safe_open(tmp_path / 'ours.safetensors', 'pt') as file:
        assert json.loads(file.metadata()['tuner']) == tuner_name


def test_malicious_and_foreign_files_are_one_line(tmp_path):
    torch.save(dict(state_dict={}, scheduler=Bomb(tmp_path / 'went_off')), tmp_path / 'bomb.tar')
    torch.save(dict(state_dict=dict(weight=torch.zeros(1))), tmp_path / 'other.tar')
    for arguments, message in (
        (['bomb.tar', 'o.pth', '--tuner', 'CoOp'], 'cannot be read'),
        (['other.tar', 'o.pth', '--tuner', 'CoOp'], 'none of the parameters of CoOp'),
        (['other.tar', 'o.pth', '--tuner', 'DPC'], 'no key table'),
        (['other.tar', 'o.pth'], 'either --tuner NAME to import or --export'),
    ):
        done = run_tool(
            'tools/convert_dassl.py', *(tmp_path / a if '.' in a else a for a in arguments)
        )
        assert done.returncode == 1 and message in done.stderr and 'Traceback' not in done.stderr
    assert not (tmp_path / 'went_off').exists() and not (tmp_path / 'o.pth').exists()
