"""Checkpoints are read safely and refused where they do not belong."""

import pytest
import torch

from fvgpt.tuners import CoOp
from fvgpt.tuners.checkpoint import load_tuner, read_checkpoint
from fvgpt.tuners.provenance import PROVENANCE, check_provenance, provenance

from ..clip.test_frozen_clip import Bomb


@pytest.fixture
def saved(random_clip, tmp_path):
    tuner = CoOp(random_clip, n_ctx=3, class_names=['cat', 'dog'])
    path = tmp_path / 'tuner.pth'
    torch.save(dict(meta={PROVENANCE: provenance(tuner)}, state_dict=tuner.state_dict()), path)
    return tuner, path


def test_tuner_goes_out_and_in(saved, random_clip):
    tuner, path = saved
    other = CoOp(random_clip, n_ctx=3)
    load_tuner(other, str(path))
    assert torch.equal(other.ctx, tuner.ctx)
    recorded = read_checkpoint(str(path))['meta'][PROVENANCE]
    assert (
        recorded['class_names'] == ['cat', 'dog']
        and recorded['clip_weights'] == random_clip.weight_hash
    )


def test_tuner_is_taken_out_of_an_fvgpt_checkpoint(saved, random_clip, tmp_path):
    tuner, _ = saved
    state = {f'tuner.{k}': v for k, v in tuner.state_dict().items()}
    torch.save(
        dict(state_dict=dict(state, **{'calibration.x': torch.zeros(1)})), tmp_path / 'fvgpt.pth'
    )
    other = CoOp(random_clip, n_ctx=3)
    load_tuner(other, str(tmp_path / 'fvgpt.pth'))
    assert torch.equal(other.ctx, tuner.ctx)


def test_other_clip_weights_other_tuner_and_other_size_are_refused_by_name(
    saved, random_clip, random_clip_folder
):
    _, path = saved
    from fvgpt.clip import FrozenCLIP

    torch.manual_seed(9)
    stranger = FrozenCLIP(f'local-dir:{random_clip_folder}', pretrained='random')
    with pytest.raises(ValueError, match='trained with CLIP weights'):
        load_tuner(CoOp(stranger, n_ctx=3), str(path))
    with pytest.raises(ValueError, match='trained with tuner CoOp, but this model has OtherTuner'):
        load_tuner(type('OtherTuner', (CoOp,), {})(random_clip, n_ctx=3), str(path))
    with pytest.raises(ValueError, match='does not fit this CoOp'):
        load_tuner(CoOp(random_clip, n_ctx=4), str(path))


def test_quick_gelu_is_named_and_another_precision_is_a_warning(saved, random_clip, monkeypatch):
    tuner, path = saved
    messages = []
    monkeypatch.setattr(
        'fvgpt.tuners.provenance.print_log',
        lambda message, *args, **kwargs: messages.append(message),
    )
    content = read_checkpoint(str(path))
    recorded = content['meta'][PROVENANCE]
    check_provenance(recorded, tuner, 'x.pth')
    assert not messages
    check_provenance(dict(recorded, precision='bf16'), tuner, 'x.pth')
    assert (
        len(messages) == 1
        and 'trained with clip.precision bf16, but this model has float32' in messages[0]
    )
    with pytest.raises(ValueError, match='trained with quick_gelu False, but this model has True'):
        check_provenance(dict(recorded, quick_gelu=False), tuner, 'x.pth')


def test_missing_broken_and_foreign_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='there is no checkpoint'):
        read_checkpoint(str(tmp_path / 'none.pth'))
    (tmp_path / 'cut.pth').write_bytes(b'PK\x03\x04 cut off')
    with pytest.raises(ValueError, match=r'cut\.pth cannot be read'):
        read_checkpoint(str(tmp_path / 'cut.pth'))
    torch.save([1, 2], tmp_path / 'list.pth')
    with pytest.raises(ValueError, match='no state_dict'):
        read_checkpoint(str(tmp_path / 'list.pth'))


def test_a_malicious_checkpoint_is_refused_and_runs_nothing(tmp_path):
    torch.save(dict(state_dict={}, meta=Bomb(tmp_path / 'went_off')), tmp_path / 'bomb.pth')
    with pytest.raises(ValueError, match=r'bomb\.pth cannot be read'):
        read_checkpoint(str(tmp_path / 'bomb.pth'))
    assert not (tmp_path / 'went_off').exists()
