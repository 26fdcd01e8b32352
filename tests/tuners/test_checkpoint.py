"""Checkpoints are read safely, and refused if they do not fit the model."""

from dataclasses import replace

import pytest
import torch

from fvgpt.mixing import PriorCalibratedClassifier
from fvgpt.tuners import IVLP, CoOp, MaPLe, PromptSRC, ZeroShotCLIP
from fvgpt.tuners.checkpoint import load_tuner, read_checkpoint
from fvgpt.tuners.provenance import PROVENANCE, Provenance

from ..clip.test_frozen_clip import Bomb


@pytest.fixture
def saved(random_clip, tmp_path):
    tuner = CoOp(random_clip, n_ctx=3).set_class_names(['cat', 'dog'])
    path = tmp_path / 'tuner.pth'
    meta = {PROVENANCE: Provenance.of_model(tuner).to_dict()}
    torch.save(dict(meta=meta, state_dict=tuner.state_dict()), path)
    return tuner, path


def test_a_saved_tuner_is_loaded(saved, random_clip):
    tuner, path = saved
    other = CoOp(random_clip, n_ctx=3)
    load_tuner(other, str(path))
    assert torch.equal(other.ctx, tuner.ctx)
    recorded = read_checkpoint(str(path))['meta'][PROVENANCE]
    assert (
        recorded['class_names'] == ['cat', 'dog']
        and recorded['clip_weights'] == random_clip.weight_hash
    )


def test_a_tuner_is_loaded_from_a_checkpoint_of_fvgpt(saved, random_clip, tmp_path):
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
    recorded = Provenance.of_checkpoint(content)
    recorded.check_fits(tuner, 'x.pth')
    assert not messages
    replace(recorded, precision='bf16').check_fits(tuner, 'x.pth')
    assert (
        len(messages) == 1
        and 'trained with clip.precision bf16, but this model has float32' in messages[0]
    )
    with pytest.raises(ValueError, match='trained with quick_gelu False, but this model has True'):
        replace(recorded, quick_gelu=False).check_fits(tuner, 'x.pth')


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


@pytest.mark.parametrize(
    'kind, depths, prefix',
    [
        (IVLP, dict(depth_text=1, depth_vision=2), 'deep_text'),
        (IVLP, dict(depth_text=2, depth_vision=1), 'deep_vision'),
        (PromptSRC, dict(depth_text=1, depth_vision=1), 'deep'),
        (MaPLe, dict(depth=1), 'deep'),
    ],
)
def test_files_without_the_empty_prompts_of_depth_one_are_loaded(
    random_clip, tmp_path, kind, depths, prefix
):
    """As checkpoints of the original code are, once imported."""
    tuner = kind(random_clip, **depths)
    state = tuner.state_dict()
    absent = [key for key in state if key.startswith(prefix)]
    assert absent and not any(state.pop(key).numel() for key in absent)
    path = tmp_path / 'imported.pth'
    torch.save(dict(meta={PROVENANCE: dict(tuner=kind.__name__)}, state_dict=state), path)
    other = kind(random_clip, **depths)
    load_tuner(other, str(path))
    assert torch.equal(other.ctx, tuner.ctx)
    with pytest.raises(ValueError, match='does not fit'):
        deeper = dict.fromkeys(depths, 2)
        load_tuner(kind(random_clip, **deeper), str(path))


def test_a_model_without_a_clip_records_its_class(random_clip):
    calibrated = PriorCalibratedClassifier(CoOp(random_clip, n_ctx=2), ZeroShotCLIP(random_clip))
    calibrated.set_class_names(['cat', 'dog'])
    recorded = Provenance.of_model(calibrated, seed=3).to_dict()
    assert recorded == dict(model='PriorCalibratedClassifier', class_names=['cat', 'dog'], seed=3)
    Provenance.from_dict(recorded).check_fits(calibrated, 'x.pth')


def test_provenance_of_later_versions_is_read(random_clip):
    recorded = Provenance.of_model(CoOp(random_clip, n_ctx=2)).to_dict()
    assert Provenance.from_dict(dict(recorded, colour='blue')).to_dict() == recorded
