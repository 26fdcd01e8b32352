"""Exported models give the same outputs as the model."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from fvgpt.inference import bundle, exported, onnx_export
from fvgpt.inference.inferencer import FVGPTInferencer

from ..saved import COOP, TRAINED, draw_image, keep_weights, save_model

CLASSES = ['bus', TRAINED[1], 'red car', TRAINED[0]]
TUNERS = dict(
    coop=COOP,
    mmrl=dict(type='MMRL', layers=[1, 2], rep_dim=8),
    maple=dict(type='MaPLe', depth=2),
    promptsrc=dict(type='PromptSRC', n_ctx=2, n_ctx_vision=2, depth_text=2, depth_vision=2),
    clip_adapter=dict(type='CLIPAdapter'),
    tip_adapter=dict(type='TipAdapter', cache_size=6),
    cocoop=dict(type='CoCoOp'),
    zero_shot=dict(type='ZeroShotCLIP'),
)


@pytest.fixture(scope='module')
def clip(random_clip_folder, tmp_path_factory):
    return keep_weights(random_clip_folder, tmp_path_factory.mktemp('clip') / 'weights')


@pytest.fixture
def make(clip, tmp_path):
    """Factory of inferencers of a tuner with or without FVG-PT."""

    def make(tuner, plug_in=True, branch='open', classes=CLASSES):
        save_model(tmp_path / 'model.pth', clip, TUNERS[tuner], plug_in)
        return FVGPTInferencer(tmp_path / 'model.pth', device='cpu', branch=branch, classes=classes)

    return make


# ------------------------------------------------------------------ ONNX
def onnx_or_skip():
    """ONNX Runtime, if it is installed and torch can export."""
    try:
        return onnx_export._import_onnx()
    except ImportError as error:
        pytest.skip(str(error))


def run(path, images):
    onnxruntime = onnx_or_skip()
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    return dict(
        zip(
            [output.name for output in session.get_outputs()],
            session.run(None, dict(images=images.numpy())),
        )
    )


@pytest.mark.parametrize(
    'tuner, plug_in, branch',
    [
        ('coop', True, 'open'),
        ('mmrl', False, 'open'),
        ('maple', True, 'new'),
        ('tip_adapter', False, 'open'),
        ('cocoop', True, 'base'),
    ],
)
def test_onnx_gives_the_models_probabilities_for_any_batch(make, tmp_path, tuner, plug_in, branch):
    onnx_or_skip()
    inferencer = make(tuner, plug_in, branch)
    differences = onnx_export.export_onnx(inferencer, tmp_path / 'out')
    assert max(differences.values()) < 1e-4
    images = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    got = run(tmp_path / 'out' / 'classifier.onnx', images)
    logits = inferencer.model(images)
    np.testing.assert_allclose(got['logits'], logits.detach(), atol=1e-3)
    np.testing.assert_allclose(got['probabilities'], logits.detach().softmax(-1), atol=1e-4)


def test_features_of_images_and_classes_give_the_logits_that_the_json_names(make, tmp_path):
    onnx_or_skip()
    inferencer = make('coop', branch='base', classes=TRAINED)
    onnx_export.export_onnx(inferencer, tmp_path)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    image, text = (
        run(tmp_path / 'image_features.onnx', images),
        load_file(tmp_path / 'text_features.safetensors'),
    )
    said = json.loads((tmp_path / 'onnx.json').read_text())
    assert said['classes'] == TRAINED and said['preprocessing']['image_size'] == 32
    inferencer.model.compare = True
    expected = inferencer.model.logits_by_source(images)
    assert set(said['logits']) == {'tuner', 'zero_shot', 'fdc'}
    for kind, source in (('tuner', 'tuner'), ('zero_shot', 'zero_shot'), ('fdc', 'fvgpt')):
        assert said['logits'][kind] == f'logit_scale * image.{kind} @ text.{kind}.T'
        logits = said['constants']['logit_scale'] * image[kind] @ text[kind].numpy().T
        np.testing.assert_allclose(logits, expected[source].detach(), atol=1e-3)


def test_a_rule_of_the_tuners_own_is_not_called_a_product(make):
    assert set(exported.describe(make('mmrl'))['logits']) == {'zero_shot', 'fdc'}


@pytest.mark.parametrize('plug_in, branch', [(True, 'open'), (True, 'new'), (False, 'base')])
def test_logits_of_cocoop_are_refused(make, tmp_path, plug_in, branch):
    onnx_or_skip()
    with pytest.raises(ValueError, match='CoCoOp encodes the classes again for each image'):
        onnx_export.export_onnx(make('cocoop', plug_in, branch), tmp_path / 'out')


@pytest.mark.parametrize('difference', [2e-3, float('nan')])
def test_a_graph_that_differs_is_not_written(make, tmp_path, monkeypatch, difference):
    onnx_or_skip()
    monkeypatch.setattr(onnx_export, 'largest_difference', lambda *args: difference)
    with pytest.raises(ValueError, match='nothing was written'):
        onnx_export.export_onnx(make('zero_shot', plug_in=False), tmp_path / 'out')
    assert not any((tmp_path / 'out').iterdir())


def test_a_difference_is_detected(make):
    model = make('zero_shot', plug_in=False).model
    module = exported.ImageClassifier(model)

    class Session:
        def run(self, _, feed):
            logits, p = module(torch.from_numpy(feed['images']))
            return [logits.detach().numpy(), p.detach().numpy() + (len(p) == 3) * offset]

    for offset in (0.0, 0.25, float('nan')):
        assert onnx_export.largest_difference(Session(), module, 32) == pytest.approx(
            offset, abs=1e-5, nan_ok=True
        )


# ------------------------------------------------------------------ the bundle
@pytest.mark.parametrize('tuner', sorted(TUNERS))
@pytest.mark.parametrize('plug_in', [True, False])
def test_a_bundle_predicts_what_its_model_predicts(make, tmp_path, tuner, plug_in):
    inferencer = make(tuner, plug_in)
    path = bundle.export_bundle(inferencer, tmp_path / 'out')
    draw_image(tmp_path / 'image.png')
    loaded = bundle.load_bundle(path)
    for branch in (None, 'base', 'new'):
        one, other = (
            each(tmp_path / 'image.png', branch=branch, compare=True)[0]
            for each in (inferencer, loaded)
        )
        assert one['top'] == other['top']
        np.testing.assert_array_equal(one['pred_scores'], other['pred_scores'])
    assert loaded.default_branch == 'open' and loaded.classes == CLASSES
    text = load_file(path.with_suffix('.safetensors'))
    assert text['text.tuner'].shape == (4, 16) and ('text.fdc' in text) == plug_in


def test_a_bundle_takes_other_classes(make, tmp_path):
    inferencer = make('coop')
    draw_image(tmp_path / 'image.png')
    loaded = bundle.load_bundle(bundle.export_bundle(inferencer, tmp_path))
    one, other = (
        each(tmp_path / 'image.png', classes=['tree', 'cat'])[0]['pred_scores']
        for each in (inferencer, loaded)
    )
    np.testing.assert_array_equal(one, other)


def test_broken_and_mixed_bundles_are_refused(make, tmp_path):
    path = bundle.export_bundle(make('coop'), tmp_path / 'one')
    other = bundle.export_bundle(
        make('coop', classes=['tree', 'bus', 'cat', 'hat']), tmp_path / 'two'
    )
    shutil.copy(other.with_suffix('.safetensors'), path.with_suffix('.safetensors'))
    with pytest.raises(ValueError, match='text features are not those of the classes'):
        bundle.load_bundle(path)
    content = json.loads(path.read_text())
    for change, complaint in (
        ({'format': 'x'}, 'not a bundle of the format'),
        ({'preprocessing': {}}, "it lacks 'pipeline'"),
        ({'model': dict(type='os.system')}, 'not registered'),
        ({'preprocessing': dict(pipeline=[dict(type='os.system')])}, 'not registered'),
    ):
        path.write_text(json.dumps(dict(content, **change)))
        with pytest.raises(ValueError, match=complaint):
            bundle.load_bundle(path)
    path.write_text('{')
    with pytest.raises(ValueError, match='cannot be read as a bundle'):
        bundle.load_bundle(path)
    path.with_suffix('.safetensors').unlink()
    with pytest.raises(FileNotFoundError, match=r'there is no .*bundle\.safetensors'):
        bundle.load_bundle(path)


def test_a_bundle_of_another_clip_is_refused(make, clip, tmp_path):
    path = bundle.export_bundle(make('coop'), tmp_path / 'out')
    folder = tmp_path / 'other'
    shutil.copytree(clip['name'].partition(':')[2], folder)
    weights = load_file(folder / 'open_clip_model.safetensors')
    save_file(
        {key: value + 0.01 for key, value in weights.items()},
        folder / 'open_clip_model.safetensors',
    )
    content = json.loads(path.read_text())
    content['model']['tuner']['clip']['name'] = f'local-dir:{folder}'
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match='trained with CLIP local-dir'):
        bundle.load_bundle(path)


def test_an_export_is_overwritten_only_on_request(make, tmp_path):
    inferencer = make('coop')
    bundle.export_bundle(inferencer, tmp_path)
    with pytest.raises(FileExistsError, match='bundle'):
        bundle.export_bundle(inferencer, tmp_path)
    inferencer.default_classes = ['tree']
    inferencer.set_classes()
    bundle.export_bundle(inferencer, tmp_path, overwrite=True)
    assert bundle.load_bundle(tmp_path / 'bundle.json').classes == ['tree']


def test_exporting_leaves_the_model_as_it_was(make, tmp_path, monkeypatch):
    onnx_or_skip()
    inferencer = make('coop')
    model, devices = inferencer.model, []
    monkeypatch.setattr(model, 'to', lambda device: devices.append(str(device)) or model)
    model.compare = True
    onnx_export.export_onnx(inferencer, tmp_path / 'out')
    assert model.compare is True
    assert devices == ['cpu', str(inferencer.tuner.clip.device)]
