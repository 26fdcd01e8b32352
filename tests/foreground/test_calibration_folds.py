"""Cross-fitted PC: z_main of a training image is of a tuner that has not seen the image."""

import copy

import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample

from fvgpt.engine.cached_features import CachedFeatures, SeededView, encode_views, flatten, restore
from fvgpt.foreground.calibration_folds import FoldTuners
from fvgpt.tuners import TipAdapter
from fvgpt.tuners.provenance import PROVENANCE, Provenance

from .test_fvgpt import BASE, NEW, ShiftedImages, ShiftedNames, batch, build, group, same

FOLDS = [1, 0, 2, 0, 2, 1, 1, 0]  # of the training images 0 .. 7


class ClassShift(ShiftedNames):
    """A shift per fold that is easy to tell apart, and a rule of its own for new classes."""

    logits_are_cosine = False

    def logits(self, image, text, branch='base'):
        z = super().logits(image, text)
        return z if branch == 'base' else 2 * z


TUNERS = dict(names=ShiftedNames, images=ShiftedImages, rule=ClassShift)


one_kind = pytest.mark.parametrize('tuner', ['images'], indirect=True)


def checkpoint(tuner, path):
    tuner.set_trained_classes(BASE)
    meta = {PROVENANCE: Provenance.of_model(tuner).to_dict()}
    torch.save(dict(meta=meta, state_dict=tuner.state_dict()), path)
    return str(path)


def fold_files(tuner, folder, count=3):
    """Checkpoints of tuners whose parameters differ."""
    files = []
    for fold in range(count):
        other = copy.deepcopy(tuner)
        generator = torch.Generator().manual_seed(fold)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
        files.append(checkpoint(other, folder / f'fold{fold}.pth'))
    return files


@pytest.fixture(params=sorted(TUNERS))
def tuner(request, random_clip):
    torch.manual_seed(2)
    return TUNERS[request.param](random_clip).set_class_names(BASE)


@pytest.fixture
def files(tuner, tmp_path):
    return fold_files(tuner, tmp_path)


def crossed(tuner, files, **kwargs):
    model = build(tuner, calibration_folds=3, **kwargs)
    model.load_fold_tuners(files, FOLDS)
    return model


def numbered(positions=(6, 0, 4, 3)):
    images, samples = batch(0)
    for sample, position in zip(samples, positions):
        sample.set_metainfo(dict(sample_idx=position))
    return images, samples


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def slow_prior_calibration(model, z_main, z_clip, labels, tau=2.0, factor=1.0):
    """b, z_PC and L_PC of one image after the other, by their formulas, in float64."""
    mlp = copy.deepcopy(model.calibration.gate.mlp).double()
    trust, calibrated, losses = [], [], []
    for main, clip, label in zip(z_main, z_clip, labels):
        p_main, p_clip = softmax(main / tau), softmax(clip / tau)
        entropy_main, entropy_clip = (-(p * np.log(p)).sum() for p in (p_main, p_clip))
        cosine = p_main @ p_clip / (np.linalg.norm(p_main) * np.linalg.norm(p_clip))
        s_in = torch.tensor([entropy_main, entropy_clip, cosine], dtype=torch.float64)
        b = 1 / (1 + np.exp(-mlp(s_in).item()))
        z = (1 - b) * main + b * clip
        kl = (p_clip * (np.log(p_clip) - np.log(softmax(z / tau)))).sum()
        trust.append(b)
        calibrated.append(z)
        losses.append(-np.log(softmax(z)[label]) + factor * kl)
    return np.array(trust), np.stack(calibrated), np.mean(losses)


def logits_of(tuner, images, branch):
    """One image at a time, without FoldTuners."""
    tuner.set_class_names(BASE)
    with torch.no_grad():
        rows = [
            tuner.logits(tuner.encode_image(image[None]), tuner.encode_text(), branch)
            for image in images
        ]
    return torch.cat(rows).double().numpy()


def test_b_z_pc_and_l_pc_follow_from_their_formulas(tuner, files):
    tau_squared = tuner.logits_are_cosine  # both forms occur
    model = crossed(tuner, files, calibration_loss=dict(tau_squared=tau_squared))
    images, samples = numbered()
    unseen = []
    for image, sample in zip(images, samples):
        of_fold = copy.deepcopy(tuner)
        state = torch.load(files[FOLDS[sample.sample_idx]], weights_only=True)['state_dict']
        of_fold.load_state_dict(state)
        unseen.append(logits_of(of_fold, image[None], 'new')[0])
    z_clip = logits_of(model.prior, images, 'base')
    labels = [sample.gt_label.item() for sample in samples]
    b, z_pc, loss = slow_prior_calibration(
        model, np.stack(unseen), z_clip, labels, factor=4.0 if tau_squared else 1.0
    )
    terms = model(images, samples, mode='loss')
    signals = model.training_signals(model.frozen(images, samples), samples)
    np.testing.assert_allclose(signals.z_main.numpy(), np.stack(unseen), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(signals.b.detach().numpy(), b, rtol=1e-4)
    np.testing.assert_allclose(signals.z_pc.detach().numpy(), z_pc, rtol=1e-4, atol=1e-3)
    assert terms['loss_prior'].item() == pytest.approx(loss, rel=1e-4)
    assert terms['trust_clip'].item() == pytest.approx(b.mean(), rel=1e-4)
    paper = build(tuner)(images, samples, mode='loss')
    assert paper['loss_prior'].item() != pytest.approx(loss, rel=1e-2)


def test_each_image_is_judged_by_the_tuner_that_has_not_seen_it(tuner, files):
    """Changing the tuner of one fold changes z_main of the images of that fold only."""
    model = crossed(tuner, files)
    images, samples = numbered()
    folds = [FOLDS[sample.sample_idx] for sample in samples]
    assert folds == [1, 1, 2, 0]

    def z_main():
        return model.training_signals(model.frozen(images, samples), samples).z_main

    before = z_main()
    for fold, other in enumerate(model.fold_tuners.tuners):
        with torch.no_grad():
            other.shift += torch.linspace(-3, 3, len(other.shift))
        changed = (z_main() != before).any(1).tolist()
        assert changed == [mine == fold for mine in folds]
        before = z_main()


def trained(model, steps=3):
    model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=0.05, momentum=0.9)
    for step in range(steps):
        images, samples = numbered(torch.randperm(8)[:4].tolist())
        terms = model(images + step, samples, mode='loss')
        optimizer.zero_grad()
        sum(value for key, value in terms.items() if 'loss' in key).backward()
        optimizer.step()
    return model


def test_the_base_branch_is_the_same_with_and_without_folds(tuner, files):
    torch.manual_seed(5)
    paper = trained(build(tuner))
    torch.manual_seed(5)
    folds = trained(crossed(tuner, files))
    base = 'compensation', 'reliability_gate'
    assert same(group(paper, *base), group(folds, *base))
    assert not same(group(paper, 'calibration'), group(folds, 'calibration'))


@one_kind
def test_fold_tuners_are_frozen_and_not_in_the_checkpoint(tuner, files):
    model = crossed(tuner, files)
    before = [copy.deepcopy(other.state_dict()) for other in model.fold_tuners.tuners]
    assert set(model.state_dict()) == set(build(tuner).state_dict())
    assert [n for n, _ in model.named_parameters()] == [
        n for n, _ in build(tuner).named_parameters()
    ]
    trained(model)
    for state, other in zip(before, model.fold_tuners.tuners):
        assert all(torch.equal(state[key], value) for key, value in other.state_dict().items())
        assert not any(p.requires_grad or p.grad is not None for p in other.parameters())
        assert not other.training and other.clip.model is tuner.clip.model


@one_kind
def test_predictions_need_no_folds_and_come_from_the_full_tuner(tuner, files):
    model = trained(crossed(tuner, files)).eval()
    alone = build(tuner, calibration_folds=3).eval()
    alone.load_state_dict(model.state_dict())
    images, _ = batch(1)
    for names, branch in ((BASE, 'base'), (NEW, 'new')):
        one, other = (
            m.set_class_names(names, branch).logits_by_source(images) for m in (model, alone)
        )
        assert all(torch.equal(one[source], other[source]) for source in one)


def test_the_cache_of_training_features_holds_those_of_the_unseen_images(tuner, files):
    """The same terms from the cache as from the images, in any order of the images."""
    model = crossed(tuner, files)

    class Pictures:
        def __len__(self):
            return len(FOLDS)

        def __getitem__(self, index):
            images, samples = batch(int(index))
            samples[0].set_metainfo(dict(sample_idx=int(index)))
            return dict(inputs=images[0], data_samples=samples[0])

    data = Pictures()
    model.data_preprocessor.forward = lambda d, training=False: dict(
        inputs=torch.stack(d['inputs']), data_samples=d['data_samples']
    )
    arrays = encode_views(model, [SeededView(data, 1, 0)], 3, 0, training=True)
    assert any(name.startswith('held_out') for name in arrays) != tuner.image_tower_is_clip
    assert not any('held_out' in n for n in encode_views(model, [SeededView(data, 1, 0)], 3, 0))
    cached = CachedFeatures(None, arrays, [0] * len(FOLDS))
    chosen = [5, 2, 7]
    entry = cached.__getitems__(chosen)
    items = [data[index] for index in chosen]
    for item in items:
        item['data_samples'].set_gt_label(0)
    images = torch.stack([item['inputs'] for item in items])
    expected = model(images, [item['data_samples'] for item in items], mode='loss')
    terms = model(entry['inputs'], entry['data_samples'], mode='loss')
    for key, value in expected.items():
        torch.testing.assert_close(terms[key], value, rtol=1e-4, atol=1e-5)
    frozen = entry['inputs']
    assert flatten(restore(flatten(frozen))).keys() == flatten(frozen).keys()


def test_the_key_of_the_cache_covers_the_fold_tuners_that_change_the_image_tower(tuner, files):
    keys = [build(tuner).cache_key(True)]
    for order in (files, files[::-1]):
        model = build(tuner, calibration_folds=3)
        model.load_fold_tuners(order, FOLDS)
        keys.append(model.cache_key(True))
        assert model.cache_key(False) == build(tuner).cache_key(False)
    assert len(set(keys)) == (1 if tuner.image_tower_is_clip else 3)


def test_the_cache_of_a_tip_adapter_holds_the_images_of_the_other_folds(random_clip, tmp_path):
    tip = TipAdapter(random_clip, cache_size=len(FOLDS)).set_class_names(BASE)
    files = []
    for fold in range(3):
        count = sum(other != fold for other in FOLDS)
        part = TipAdapter(random_clip, cache_size=count).set_class_names(BASE)
        part.fill_cache(torch.randn(count, random_clip.embed_dim), torch.arange(count) % 3)
        files.append(checkpoint(part, tmp_path / f'{fold}.pth'))
    tuners = FoldTuners.load(tip, files, FOLDS)
    assert [len(other.keys) for other in tuners.tuners] == [5, 5, 6] and len(tip.keys) == 8
    assert all((other.key_labels >= 0).all() for other in tuners.tuners)


@one_kind
def test_what_is_missing_or_wrong_is_named(tuner, files):
    with pytest.raises(RuntimeError, match='calibration_folds=3 needs the tuners of the folds'):
        build(tuner, calibration_folds=3)(*numbered(), mode='loss')
    model = crossed(tuner, files)
    for sample_idx in ({}, dict(sample_idx=8)):
        images, samples = numbered()
        samples[2] = DataSample(metainfo=sample_idx).set_gt_label(0).set_mask(samples[2].mask)
        with pytest.raises(ValueError, match=f'sample_idx of .* is {sample_idx.get("sample_idx")}'):
            model(images, samples, mode='loss')
    with pytest.raises(ValueError, match='calibration_folds must be at least 2, or None, not 1'):
        build(tuner, calibration_folds=1)
    with pytest.raises(
        ValueError, match='fold_checkpoints has 2 files, but calibration_folds is 3'
    ):
        build(tuner, calibration_folds=3, fold_checkpoints=files[:2])
    off = build(tuner, calibration_folds=3, calibration=None)
    assert off.calibration_folds is None and 'loss_fdc' in off(*numbered(), mode='loss')


@one_kind
def test_fold_tuners_move_with_the_model(tuner, files):
    model = crossed(tuner, files).double()
    assert {p.dtype for t in model.fold_tuners.tuners for p in t.parameters()} == {torch.float64}
