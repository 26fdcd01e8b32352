"""Predictions on any images from a checkpoint alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config
from PIL import Image

from fvgpt.inference.inferencer import FVGPTInferencer
from fvgpt.io.literals import literal_values
from fvgpt.tuners.classifier import CLIP_MEAN, CLIP_STD
from fvgpt.tuners.provenance import PROVENANCE

from ..saved import COOP, LOAD, RESIZE, TRAINED, draw_image, keep_weights, save_model


@pytest.fixture(scope='module')
def clip(random_clip_folder, tmp_path_factory):
    return keep_weights(random_clip_folder, tmp_path_factory.mktemp('clip') / 'weights')


@pytest.fixture(scope='module')
def trained(clip, tmp_path_factory):
    """A model, its checkpoint, and a folder of images."""
    folder = tmp_path_factory.mktemp('trained')
    model = save_model(folder / 'epoch_1.pth', clip)
    images = folder / 'images'
    (images / 'more').mkdir(parents=True)
    for seed, name in enumerate(['b.png', 'a.PNG', 'more/c.bmp']):
        draw_image(images / name, seed)
    (images / 'notes.txt').write_text('no image')
    return model, folder / 'epoch_1.pth', images


@pytest.fixture(scope='module')
def inferencer(trained):
    return FVGPTInferencer(trained[1], device='cpu')


def scores(results):
    return np.stack([result['pred_scores'] for result in results])


# ------------------------------------------------------------------ the same numbers as the model
@pytest.mark.parametrize('branch', ['base', 'new', 'open'])
def test_predictions_are_those_of_the_model(trained, inferencer, branch):
    model, _, images = trained
    model.set_class_names([*TRAINED, 'bus'], branch)
    pixels = np.asarray(Image.open(images / 'b.png').resize((32, 32), Image.BICUBIC)).transpose(
        2, 0, 1
    )
    mean, std = (255 * torch.tensor(values)[:, None, None] for values in (CLIP_MEAN, CLIP_STD))
    expected = model((torch.from_numpy(pixels.astype(np.float32)) - mean)[None] / std).softmax(-1)
    (result,) = inferencer(images / 'b.png', classes=[*TRAINED, 'bus'], branch=branch)
    np.testing.assert_allclose(result['pred_scores'], expected[0].detach(), atol=1e-6)
    assert (
        result['pred_class']
        == [*TRAINED, 'bus'][result['pred_label']]
        == result['top']['fvgpt'][0][0]
    )
    assert result['pred_score'] == pytest.approx(result['top']['fvgpt'][0][1])


def test_file_folder_array_and_list_in_any_batches_agree(trained, inferencer):
    images = trained[2]
    folder = inferencer(str(images), batch_size=2)
    assert [result['img_path'] for result in folder] == [
        str(images / name) for name in ('a.PNG', 'b.png', 'more/c.bmp')
    ]
    arrays = [np.asarray(Image.open(result['img_path']))[..., ::-1] for result in folder]
    np.testing.assert_allclose(scores(inferencer(arrays, batch_size=3)), scores(folder), atol=1e-6)
    mixed = inferencer([images / 'b.png', arrays[0], str(images)])
    np.testing.assert_allclose(scores(mixed), scores(folder)[[1, 0, 0, 1, 2]], atol=1e-6)
    assert mixed[1]['img_path'] is None


def test_the_default_classes_are_those_of_training_and_others_hold_for_one_call(
    trained, inferencer
):
    images = trained[2]
    first = inferencer(images)
    assert inferencer.classes == TRAINED
    assert inferencer(images, classes=['bus'])[0]['pred_class'] == 'bus'
    np.testing.assert_array_equal(scores(inferencer(images)), scores(first))


def test_text_is_encoded_once_for_a_list_of_classes(trained, monkeypatch):
    inferencer = FVGPTInferencer(trained[1], device='cpu')
    calls = []
    encode = inferencer.tuner.encode_text
    monkeypatch.setattr(
        inferencer.tuner, 'encode_text', lambda: calls.append(tuple(inferencer.classes)) or encode()
    )
    for classes in (['bus', 'car'], ['bus', 'car'], ['tree'], ['bus', 'car']):
        inferencer(trained[2], classes=classes)
    assert [len(call) for call in calls] == [2, 1]


@settings(deadline=None)
@given(
    names=st.lists(
        st.sampled_from([*TRAINED, 'bus', 'red car', 'tree']), min_size=1, max_size=6, unique=True
    ),
    topk=st.integers(1, 8),
)
def test_rankings_are_sorted_and_of_the_requested_length(trained, inferencer, names, topk):
    (result,) = inferencer(trained[2] / 'b.png', classes=names, topk=topk, compare=True)
    assert list(result['top']) == ['fvgpt', 'tuner', 'zero_shot']
    for ranking in result['top'].values():
        values = [score for _, score in ranking]
        assert len(ranking) == min(topk, len(names)) and values == sorted(values, reverse=True)
        assert {name for name, _ in ranking} <= set(names) and sum(values) <= 1 + 1e-5
    assert result['pred_scores'].sum() == pytest.approx(1, abs=1e-5)


def test_data_samples_and_drawings(trained, inferencer, tmp_path):
    samples = inferencer(
        trained[2], return_datasamples=True, show_dir=str(tmp_path / 'new' / 'drawn')
    )
    assert [len(sample.pred_score) for sample in samples] == [3, 3, 3]
    assert sorted(file.name for file in (tmp_path / 'new' / 'drawn').iterdir()) == [
        'a.png',
        'b.png',
        'c.png',
    ]
    inferencer(trained[2], classes=[r'$\frac$', '<b>'], show_dir=str(tmp_path / 'formula'))
    assert len(list((tmp_path / 'formula').iterdir())) == 3
    with pytest.raises(ValueError, match='exists already'):
        inferencer(trained[2], show_dir=tmp_path / 'new' / 'drawn')


def test_a_tuner_alone_and_images_of_any_size_without_a_resizing_step(clip, trained, tmp_path):
    save_model(tmp_path / 'tuner.pth', clip, plug_in=False, steps=())
    inferencer = FVGPTInferencer(tmp_path / 'tuner.pth', device='cpu')
    draw_image(tmp_path / 'wide.png', size=(33, 90))
    draw_image(tmp_path / 'small.png', size=(20, 16))
    results = inferencer(
        [tmp_path / 'wide.png', tmp_path / 'small.png'], batch_size=2, compare=True
    )
    assert [list(result['top']) for result in results] == [['tuner'], ['tuner']]


def test_exif_orientation_is_ignored_as_in_training(inferencer, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    draw_image(tmp_path / 'plain.png')
    draw_image(tmp_path / 'turned.png', exif=exif)
    np.testing.assert_array_equal(
        *(scores(inferencer(tmp_path / name)) for name in ('plain.png', 'turned.png'))
    )


# ------------------------------------------------------------------ what cannot be read
def test_unreadable_and_missing_images_are_named_or_counted(trained, inferencer, tmp_path):
    (tmp_path / 'broken.jpg').write_bytes(b'\xff\xd8\xff no image')
    with pytest.raises(ValueError, match=r'broken\.jpg cannot be read as an image'):
        inferencer(tmp_path / 'broken.jpg')
    results = inferencer([tmp_path / 'broken.jpg', trained[2]], skip_unreadable=True, batch_size=2)
    assert (
        len(results) == 3 and len(inferencer.skipped) == 1 and 'broken.jpg' in inferencer.skipped[0]
    )
    with pytest.raises(FileNotFoundError, match='there is no image'):
        inferencer(tmp_path / 'none.jpg', skip_unreadable=True)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='has no images'):
        inferencer(tmp_path / 'empty')


@pytest.mark.parametrize(
    'array',
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)],
)
def test_arrays_of_another_kind_are_refused(inferencer, array):
    with pytest.raises(ValueError, match=r'array \(H, W, 3\) of uint8'):
        inferencer(array)


def test_a_checkpoint_without_classes_needs_class_names(clip, trained, tmp_path):
    save_model(tmp_path / 'silent.pth', clip, **{PROVENANCE: {}})
    silent = FVGPTInferencer(tmp_path / 'silent.pth', device='cpu')
    with pytest.raises(ValueError, match='does not contain its classes'):
        silent(trained[2])
    with pytest.raises(ValueError, match="branch 'open' needs"):
        silent(trained[2], classes=['bus'])
    assert silent(trained[2], classes=['bus'], branch='new')[0]['pred_class'] == 'bus'


# ------------------------------------------------------------------ the recipe inside a checkpoint
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text('ab \'"\\\n{}é', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from(['type', 'lr', 'a.b', '0', 'x y']), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(['model', 'clip', 'other']), _VALUES))
def test_a_recipe_is_read_as_mmengine_wrote_it(values):
    text = Config(values, format_python_code=False).pretty_text
    assert literal_values(text, ('model', 'clip')) == {
        key: value for key, value in values.items() if key != 'other'
    }


STEPS = "test_dataloader = dict(dataset=dict(pipeline=[dict(type='LoadImage')]))"


@pytest.mark.parametrize(
    'text, complaint',
    [
        ("model = dict(type=__import__('pathlib').Path({0!r}).touch())", 'not a literal value'),
        ("model = dict(type='pathlib.Path.touch', self={0!r})", 'not registered'),
        (
            "model = dict(type='CoOp', clip=dict(type='builtins.open', file={0!r}, mode='w'))",
            'not registered',
        ),
        ("model = dict(type='CoOp', _scope_='mmdet')", 'not registered'),
        ("model = dict(type='HuggingFaceClassifier')", 'not registered'),
        (
            "model = dict(type='CoOp')\n"
            "test_dataloader = dict(dataset=dict(pipeline=[dict(type='os.mkdir', path={0!r})]))",
            'not registered',
        ),
        ("model = dict(type=['pathlib.Path'])\n" + STEPS, 'not registered'),
        (
            "model = dict(type='CoOp', init_cfg=dict(type='Pretrained', checkpoint={0!r}))\n"
            + STEPS,
            'not registered',
        ),
        ("model = dict(type='CoOp')", 'no test_dataloader'),
        ('x = 1', 'no model'),
        ('model = (', 'not valid Python'),
        (None, 'does not contain its recipe'),
    ],
)
def test_a_recipe_that_would_run_something_is_refused_and_runs_nothing(
    clip, tmp_path, text, complaint
):
    save_model(tmp_path / 'foreign.pth', clip, cfg=text and text.format(str(tmp_path / 'ran')))
    with pytest.raises(ValueError, match=f'{complaint}.*--config') as refusal:
        FVGPTInferencer(tmp_path / 'foreign.pth')
    assert 'foreign.pth' in str(refusal.value) and not (tmp_path / 'ran').exists()


@pytest.mark.parametrize(
    'model, complaint',
    [
        (
            "dict(_target_='pathlib.Path.touch', self={0!r})",
            'describes cannot be built: model has no type',
        ),
        (
            "dict(type='CoOp', clip=dict(_target_='pathlib.Path.touch', self={0!r}))",
            'describes cannot be built: model.clip has no type',
        ),
        ("dict(type='ReliabilityLoss')", 'describes a ReliabilityLoss, which is not a classifier'),
    ],
)
def test_a_recipe_that_describes_something_else_is_refused_and_runs_nothing(
    clip, tmp_path, model, complaint
):
    save_model(
        tmp_path / 'foreign.pth',
        clip,
        cfg=f'model = {model.format(str(tmp_path / "ran"))}\n{STEPS}',
    )
    with pytest.raises(ValueError, match=rf'foreign\.pth {complaint}'):
        FVGPTInferencer(tmp_path / 'foreign.pth')
    assert not (tmp_path / 'ran').exists()


def test_imports_and_bases_of_a_recipe_in_a_checkpoint_are_not_followed(clip, trained, tmp_path):
    """MMEngine would import the first and execute the second."""
    module = tmp_path / 'strangers_module.py'
    module.write_text(f'open({str(tmp_path / "ran")!r}, "w")')
    saved = torch.load(trained[1], weights_only=True)
    saved['meta']['cfg'] = (
        f"_base_ = [{str(module)!r}]\ncustom_imports = dict(imports=['strangers_module'])\n"
        f"import strangers_module\nopen({str(tmp_path / 'ran')!r}, 'w')\n" + saved['meta']['cfg']
    )
    torch.save(saved, tmp_path / 'foreign.pth')
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        inferencer = FVGPTInferencer(tmp_path / 'foreign.pth', device='cpu')
    assert inferencer(trained[2]) and not (tmp_path / 'ran').exists()


def test_a_recipe_given_beside_the_checkpoint_is_used(clip, trained, tmp_path):
    _, checkpoint, images = trained
    recipe = dict(
        custom_imports=dict(imports=['fvgpt']),
        model=dict(type='FVGPT', tuner=COOP),
        clip=clip,
        test_dataloader=dict(
            dataset=dict(type='QuickstartWorld', pipeline=[LOAD, RESIZE, dict(type='PackInputs')])
        ),
    )
    Config(recipe).dump(tmp_path / 'recipe.py')
    save_model(tmp_path / 'bare.pth', clip, cfg=None)
    given = FVGPTInferencer(tmp_path / 'recipe.py', tmp_path / 'bare.pth', device='cpu')
    np.testing.assert_array_equal(
        scores(given(images)), scores(FVGPTInferencer(checkpoint, device='cpu')(images))
    )


def test_another_clip_and_another_tuner_are_refused(clip, trained, random_clip_folder, tmp_path):
    checkpoint = trained[1]
    with pytest.raises(ValueError, match='trained with CLIP weights'):
        FVGPTInferencer(checkpoint, options={'clip.pretrained': 'random'})
    with pytest.raises(ValueError, match='does not fit this FVGPT'):
        FVGPTInferencer(checkpoint, options={'model.tuner.n_ctx': 3})
    with pytest.raises(
        ValueError, match="cannot be built: model: FVGPT has no parameter 'no_such_key'"
    ):
        FVGPTInferencer(checkpoint, options={'model.no_such_key': 1})
    with pytest.raises(FileNotFoundError, match='there is no checkpoint'):
        FVGPTInferencer(tmp_path / 'none.pth')
