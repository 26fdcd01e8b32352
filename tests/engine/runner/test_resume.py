"""A run resumes from its latest complete checkpoint, and only with unchanged settings, data and
tuner."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.fileio import get_file_backend
from mmengine.runner.checkpoint import save_checkpoint

from fvgpt.engine.hooks.class_names import warn_of_untrained
from fvgpt.engine.hooks.provenance import ProvenanceHook
from fvgpt.engine.hooks.run_record import check_continuation, git_state, split_hash
from fvgpt.engine.runner.resume import changed_settings, newest_checkpoint, recipe_hash
from fvgpt.tuners.provenance import PROVENANCE, Provenance

from ...foreground.test_fvgpt import BASE, build
from ...tuners.test_tuners import BUILDERS

SETTINGS = dict(
    model=dict(type='CoOp', n_ctx=4, clip=dict(name='quickstart')),
    randomness=dict(seed=1),
    train_dataloader=dict(num_workers=2, dataset=dict(num_shots=16)),
    train_cfg=dict(max_epochs=3),
    optim_wrapper=dict(optimizer=dict(lr=0.002)),
)


def config(**changes):
    made = Config(SETTINGS)
    made.merge_from_dict(changes)
    return made


def write(folder, epoch, **changes):
    made = config(**changes)
    folder.mkdir(exist_ok=True)
    meta = {'cfg': made.pretty_text, PROVENANCE: dict(recipe=recipe_hash(made))}
    torch.save(dict(state_dict={}, meta=meta), folder / f'epoch_{epoch}.pth')


def test_the_latest_checkpoint_is_used_not_the_file_last_checkpoint(tmp_path):
    assert newest_checkpoint(config(), str(tmp_path)) is None
    for epoch in (2, 10, 9):
        write(tmp_path, epoch)
    (tmp_path / 'last_checkpoint').write_text(
        str(tmp_path / 'epoch_1')
    )  # cut off, and long removed
    assert newest_checkpoint(config(), str(tmp_path)) == str(tmp_path / 'epoch_10.pth')


def told(monkeypatch, module):
    """The messages that a module logs during the test."""
    messages = []
    monkeypatch.setattr(
        f'fvgpt.engine.{module}.print_log',
        lambda message, *args, **kwargs: messages.append(message),
    )
    return messages


def test_a_broken_checkpoint_costs_one_epoch_and_gives_a_warning(tmp_path, monkeypatch):
    messages = told(monkeypatch, 'runner.resume')
    write(tmp_path, 1)
    write(tmp_path, 2)
    (tmp_path / 'epoch_2.pth').write_bytes((tmp_path / 'epoch_2.pth').read_bytes()[:100])
    assert newest_checkpoint(config(), str(tmp_path)) == str(tmp_path / 'epoch_1.pth')
    assert len(messages) == 1 and 'epoch_2.pth cannot be read' in messages[0]
    (tmp_path / 'epoch_1.pth').unlink()
    with pytest.raises(ValueError, match=r'epoch_2\.pth cannot be read'):
        newest_checkpoint(config(), str(tmp_path))


def test_other_settings_are_named_and_what_does_not_matter_is_not(tmp_path):
    write(tmp_path, 1)
    free = {
        'train_dataloader.num_workers': 8,
        'model.backbone_checkpoint': 'elsewhere/coop.pth',
        'work_dir': 'other',
    }
    assert newest_checkpoint(config(**free), str(tmp_path)) == str(tmp_path / 'epoch_1.pth')
    with pytest.raises(
        ValueError,
        match=r'train_dataloader\.dataset\.num_shots was 16, is 4; .*lr was 0\.002, is 1\. Choose',
    ):
        newest_checkpoint(
            config(**{'train_dataloader.dataset.num_shots': 4, 'optim_wrapper.optimizer.lr': 1}),
            str(tmp_path),
        )
    write(tmp_path, 5, **{'randomness.seed': 2})  # left by another run
    assert newest_checkpoint(config(), str(tmp_path)) == str(tmp_path / 'epoch_1.pth')


def test_a_checkpoint_without_a_recipe_is_not_taken_for_one_of_this():
    assert changed_settings(config(), {}) and changed_settings(
        config(), dict(cfg='__import__("os")')
    )
    assert (
        changed_settings(config(), dict(cfg=config().pretty_text)) == []
    )  # whatever its hash was made of


def test_a_checkpoint_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path, whole = tmp_path / 'epoch_1.pth', dict(backend='atomic_write')
    save_checkpoint(dict(epoch=1), str(path), backend_args=whole)

    def full(*args):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('mmengine.fileio.backends.local_backend.LocalBackend.put', full)
    with pytest.raises(OSError, match=r'epoch_1\.pth cannot be written \(No space left'):
        save_checkpoint(dict(epoch=2), str(path), backend_args=whole)
    assert torch.load(path, weights_only=True) == dict(epoch=1) and [
        p.name for p in tmp_path.iterdir()
    ] == [path.name]
    assert type(get_file_backend(str(path), backend_args=whole)).__name__ == 'AtomicWriteBackend'


# ------------------------------------------------------------------ data, classes, tuner
class Images(list):
    """A data set of (path, label)."""

    data_root, metainfo = '/data', dict(classes=tuple(BASE))

    def get_data_info(self, index):
        return dict(img_path=self[index][0], gt_label=self[index][1])


IMAGES = Images([('/data/a.png', 0), ('/data/b.png', 1)])


def test_the_split_hash_is_that_of_relative_paths_and_labels_in_order():
    moved = Images([('/elsewhere/a.png', 0), ('/elsewhere/b.png', 1)])
    moved.data_root = '/elsewhere'
    assert split_hash(moved) == split_hash(IMAGES)
    for other in (
        [IMAGES[1], IMAGES[0]],
        IMAGES[:1],
        [IMAGES[0], ('/data/b.png', 0)],
        [IMAGES[0], ('/data/c.png', 1)],
    ):
        assert split_hash(Images(other)) != split_hash(IMAGES)
    assert split_hash([1, 2]) is None


def test_the_split_hash_covers_masks_of_other_images():
    class Masked(Images):
        def get_data_info(self, index):
            return dict(super().get_data_info(index), mask_path=self.masks[index])

    def hash_of(mask_of, *masks):
        masked = Masked(IMAGES)
        masked.mask_of, masked.masks = mask_of, masks
        return split_hash(masked)

    assert hash_of('own', '/data/m/a.png', '/data/m/b.png') == split_hash(IMAGES)
    swapped = hash_of('shuffled', '/data/m/b.png', '/data/m/a.png')
    assert len({swapped, hash_of('shuffled', '/data/m/b.png', None), split_hash(IMAGES)}) == 3


@pytest.fixture
def fvgpt(random_clip):
    model = build(BUILDERS['coop'](random_clip))
    return model, {key: value.clone() for key, value in model.state_dict().items()}


def recorded(**changes):
    given = dict(class_names=tuple(BASE), split=split_hash(IMAGES), processes=1)
    return Provenance(**{**given, **changes})


def test_a_run_is_continued_on_the_same_data_classes_and_tuner_only(fvgpt):
    model, state = fvgpt
    check_continuation(recorded(), state, model, IMAGES)
    for changes, message in (
        (dict(class_names=[*BASE[:2], 'cow']), "its classes changed, from 'cow' to 'yellow"),
        (dict(class_names=BASE[:2]), 'its classes changed, from 2 to 3'),
        (dict(split='0' * 64), 'its list of training images changed'),
        (dict(processes=4), 'its number of processes changed, from 4 to 1'),
    ):
        with pytest.raises(ValueError, match=message):
            check_continuation(recorded(**changes), state, model, IMAGES)
    with pytest.raises(ValueError, match=r'the tuner below FVG-PT is a different one, ctx differs'):
        check_continuation(
            recorded(), {**state, 'tuner.ctx': state['tuner.ctx'] + 1}, model, IMAGES
        )


@pytest.mark.parametrize(
    'change, message',
    [
        ({'tuner.ctx': None}, 'Missing key.*tuner.ctx'),
        ({'more': torch.zeros(1)}, 'Unexpected key.*more'),
        ({'tuner.ctx': torch.zeros(1, 1)}, 'size mismatch for tuner.ctx'),
    ],
)
def test_parameters_that_do_not_fit_are_an_error_where_mmengine_warns(fvgpt, change, message):
    model, state = fvgpt
    state = {key: value for key, value in {**state, **change}.items() if value is not None}
    with pytest.raises(
        ValueError, match=f'^the checkpoint of FVGPT does not fit this FVGPT: .*{message}'
    ):
        ProvenanceHook().after_load_checkpoint(
            SimpleNamespace(model=model, _resume=False),
            dict(state_dict=state, meta={PROVENANCE: Provenance.of_model(model).to_dict()}),
        )


def test_classes_of_the_base_branch_that_were_not_trained_on_give_a_warning(fvgpt, monkeypatch):
    messages = told(monkeypatch, 'hooks.class_names')
    model, _ = fvgpt
    model.set_trained_classes(BASE)
    warn_of_untrained(model, 'the model')
    assert not messages
    model.set_class_names([BASE[0], 'cow'])
    warn_of_untrained(model, 'the model')
    assert len(messages) == 1 and "1 of 2 are new to it, the first is 'cow'" in messages[0]


def test_the_git_state_is_that_of_the_checkout():
    state = git_state()
    assert state is None or (len(state['commit']) == 40 and isinstance(state['changed'], bool))
