"""The segmenters of MMDetection and MMSegmentation.

They are tested with substitutes for the libraries' functions, and with the libraries if installed.
"""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData, PixelData
from PIL import Image

from fvgpt.segmentation import build_segmenter
from fvgpt.segmentation.base import import_library

from ..conftest import run_tool


def install(monkeypatch, library, **functions):
    """Make ``library.apis`` a module with these functions."""
    module, apis = ModuleType(library), ModuleType(f'{library}.apis')
    apis.__dict__.update(functions)
    monkeypatch.setitem(sys.modules, library, module)
    monkeypatch.setitem(sys.modules, f'{library}.apis', apis)


@pytest.fixture
def mmdet(monkeypatch):
    """Three instances: a cat (top half), a dog (left half), and a cat of low score (everywhere)."""

    def init_detector(config, checkpoint=None, palette='none', device='cuda:0', cfg_options=None):
        assert (config, checkpoint, device) == ('mask_rcnn.py', 'mask_rcnn.pth', 'cpu')
        return SimpleNamespace(
            dataset_meta=dict(classes=('cat', 'dog')), seen=[], boxes_only=False, found=3
        )

    def inference_detector(model, imgs):
        model.seen += imgs
        results = []
        for height, width in (img.shape[:2] for img in imgs):
            masks = torch.zeros(3, height, width, dtype=torch.bool)
            masks[0, : height // 2], masks[1, :, : width // 2], masks[2] = True, True, True
            instances = InstanceData(
                scores=torch.tensor([0.9, 0.8, 0.1]), labels=torch.tensor([0, 1, 0]), masks=masks
            )
            if model.boxes_only:
                del instances.masks
            results.append(SimpleNamespace(pred_instances=instances[: model.found]))
        return results

    install(
        monkeypatch, 'mmdet', init_detector=init_detector, inference_detector=inference_detector
    )
    return dict(model='mask_rcnn.py', checkpoint='mask_rcnn.pth', device='cpu')


def test_mmdet_returns_the_union_of_the_foreground_instances(mmdet):
    images = [
        np.random.default_rng(0).integers(0, 255, size, dtype=np.uint8)
        for size in ((8, 6, 3), (4, 10, 3))
    ]
    segmenter = build_segmenter('mmdet', mmdet)
    for mask, image in zip(segmenter.segment(images), images):
        height, width = image.shape[:2]
        wanted = np.zeros((height, width), np.float32)
        wanted[: height // 2] = wanted[:, : width // 2] = 1
        assert np.array_equal(mask, wanted) and mask.dtype == np.float32
    assert all(
        np.array_equal(seen[..., ::-1], image) for seen, image in zip(segmenter.model.seen, images)
    )  # BGR
    dogs = build_segmenter('mmdet', dict(mmdet, foreground='dog')).segment(images[:1])[0]
    assert dogs[:, :3].all() and not dogs[:, 3:].any()
    assert build_segmenter('mmdet', dict(mmdet, score_threshold=0.05)).segment(images[:1])[0].all()


def test_mmdet_without_instances_gives_an_empty_mask_and_without_masks_an_error(mmdet):
    segmenter = build_segmenter('mmdet', mmdet)
    segmenter.model.found = 0
    mask = segmenter.segment([np.zeros((5, 7, 3), np.uint8)])[0]
    assert mask.shape == (5, 7) and not mask.any()
    segmenter.model.boxes_only, segmenter.model.found = True, 3
    with pytest.raises(ValueError, match='boxes only'):
        segmenter.segment([np.zeros((5, 7, 3), np.uint8)])
    with pytest.raises(ValueError, match="no class 'bird'; it has cat, dog"):
        build_segmenter('mmdet', dict(mmdet, foreground=['cat', 'bird']))


def install_mmseg(monkeypatch, classes, logits):
    def init_model(config, checkpoint=None, device='cuda:0', cfg_options=None):
        return SimpleNamespace(dataset_meta=dict(classes=classes))

    def inference_model(model, img):
        assert isinstance(img, np.ndarray)  # images of different sizes cannot go in together
        data = torch.tensor(logits).view(-1, 1, 1).expand(-1, *img.shape[:2])
        return SimpleNamespace(seg_logits=PixelData(data=data))

    install(monkeypatch, 'mmseg', init_model=init_model, inference_model=inference_model)
    return dict(model='deeplab.py', checkpoint='deeplab.pth', device='cpu')


def test_mmseg_sums_the_probabilities_of_the_foreground_classes(monkeypatch):
    options = install_mmseg(
        monkeypatch, ('background', 'cat', 'dog'), np.log([0.5, 0.3, 0.2]).tolist()
    )
    images = [np.zeros((4, 6, 3), np.uint8), np.zeros((5, 3, 3), np.uint8)]
    for foreground, wanted in ((None, 0.5), ('cat', 0.3), (['cat', 'background'], 0.8)):
        masks = build_segmenter('mmseg', dict(options, foreground=foreground)).segment(images)
        for mask, image in zip(masks, images):
            assert mask.shape == image.shape[:2] and mask.dtype == np.float32
            np.testing.assert_allclose(mask, wanted, atol=1e-6)


def test_mmseg_gives_the_probability_of_a_binary_model_as_it_is(monkeypatch):
    options = install_mmseg(monkeypatch, ('background', 'vessel'), [0.7])
    np.testing.assert_allclose(
        build_segmenter('mmseg', options).segment([np.zeros((2, 2, 3), np.uint8)])[0], 0.7
    )


def test_mmseg_normalises_scores_that_are_not_logits(monkeypatch):
    images = [np.zeros((2, 2, 3), np.uint8)]
    for scores, wanted in (
        ([1.2, 0.6, 0.2], 0.4),
        ([0.0, 0.0, 0.0], 0),
    ):  # as of MaskFormer: probabilities, summed over the queries
        options = install_mmseg(monkeypatch, ('background', 'cat', 'dog'), scores)
        np.testing.assert_allclose(
            build_segmenter('mmseg', options).segment(images)[0], wanted, atol=1e-6
        )


def test_mmseg_without_background_class_needs_foreground_classes(monkeypatch):
    options = install_mmseg(monkeypatch, ('wall', 'bed'), [0.0, 1.0])
    with pytest.raises(ValueError, match='foreground=wall,bed'):
        build_segmenter('mmseg', options)
    assert (
        build_segmenter('mmseg', dict(options, foreground='bed'))
        .segment([np.zeros((2, 2, 3), np.uint8)])[0]
        .min()
        > 0.5
    )


def test_a_checkpoint_is_required():
    with pytest.raises(ValueError, match='the segmenter mmdet needs checkpoint'):
        build_segmenter('mmdet', dict(model='x.py'))


@pytest.mark.parametrize('name', ['mmdet', 'mmseg'])
def test_the_error_of_a_missing_library_names_how_to_install_it(monkeypatch, name):
    monkeypatch.setitem(sys.modules, f'{name}.apis', None)
    with pytest.raises(
        ImportError, match=f'{name}.apis cannot be imported.*install {name}.*full mmcv'
    ):
        build_segmenter(name, dict(model='x.py', checkpoint='x.pth'))


@pytest.mark.parametrize('name, init', [('mmdet', 'init_detector'), ('mmseg', 'init_model')])
def test_the_error_of_missing_operators_names_what_is_needed(monkeypatch, name, init):
    def without_operators(config, checkpoint=None, device='cuda:0'):
        raise ModuleNotFoundError("No module named 'mmcv._ext'")

    install(monkeypatch, name, **{init: without_operators})
    with pytest.raises(
        ImportError, match=r'x\.py cannot be built .*mmcv\._ext.*compiled with its operators'
    ):
        build_segmenter(name, dict(model='x.py', checkpoint='x.pth', device='cpu'))


# ------------------------------------------------------------------ the libraries themselves
# small models with random weights, with configs derived from those of the libraries

TINY_BACKBONE = {
    'model.backbone.depth': 18,
    'model.backbone.base_channels': 8,
    'model.backbone.init_cfg': None,
}
# shipped config, layers that get larger random weights, changes to the config
MASK_RCNN = (
    'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    [
        'roi_head.bbox_head.shared_fcs',
        'roi_head.bbox_head.fc_cls',
        'roi_head.mask_head.conv_logits',
    ],
    {
        **TINY_BACKBONE,
        'model.neck.in_channels': [8, 16, 32, 64],
        'model.neck.out_channels': 8,
        'model.rpn_head.in_channels': 8,
        'model.rpn_head.feat_channels': 8,
        'model.roi_head.bbox_roi_extractor.out_channels': 8,
        'model.roi_head.mask_roi_extractor.out_channels': 8,
        'model.roi_head.bbox_head.in_channels': 8,
        'model.roi_head.bbox_head.fc_out_channels': 16,
        'model.roi_head.bbox_head.num_classes': 2,
        'model.roi_head.mask_head.num_classes': 2,
        'model.roi_head.mask_head.in_channels': 8,
        'model.roi_head.mask_head.conv_out_channels': 8,
        'test_dataloader.dataset.pipeline.1.scale': (128, 128),
    },
)
FCN = (
    'fcn/fcn_r50-d8_4xb4-20k_voc12aug-512x512.py',
    ['decode_head.conv_seg'],
    {
        **TINY_BACKBONE,
        'model.decode_head.in_channels': 64,
        'model.decode_head.channels': 8,
        'model.decode_head.num_classes': 3,
        'model.auxiliary_head': None,
        'test_pipeline.1.scale': (128, 128),
    },
)
BINARY_FCN = (
    *FCN[:2],
    {
        **FCN[2],
        'model.decode_head.num_classes': 2,
        'model.decode_head.out_channels': 1,
        'model.decode_head.threshold': 0.5,
        'model.decode_head.loss_decode.use_sigmoid': True,
    },
)
MASKFORMER = (
    'maskformer/maskformer_r50-d32_8xb2-160k_ade20k-512x512.py',
    ['decode_head.transformer_decoder', 'decode_head.cls_embed'],
    {
        **TINY_BACKBONE,
        'model.decode_head.in_channels': [8, 16, 32, 64],
        'model.decode_head.num_classes': 3,
        'model.decode_head.num_queries': 5,
        'model.decode_head.transformer_decoder.num_layers': 1,
        'model.decode_head.loss_cls.class_weight': [1.0, 1.0, 1.0, 0.1],
        'test_pipeline.1.scale': (128, 128),
    },
)


@pytest.fixture
def library():
    """Import ``<name>.apis`` or skip the test. mmdet also needs mmcv's compiled operators."""

    def load(name):
        try:
            if name == 'mmdet':
                import_library('mmcv.ops', 'tests of the real mmdet are skipped')
            return import_library(f'{name}.apis', f'tests of the real {name} are skipped')
        except ImportError as error:
            pytest.skip(str(error))

    return load


def save_model(folder, api, recipe, classes):
    """Write a config and a checkpoint; returns the options of the segmenter."""
    name, layers, changes = recipe
    config = Config.fromfile(Path(api.__file__).parents[1] / '.mim' / 'configs' / name)
    config.merge_from_dict(changes)
    config.dump(folder / 'tiny_model.py')
    torch.manual_seed(0)
    model = (api.init_detector if hasattr(api, 'init_detector') else api.init_model)(
        config, device='cpu'
    )
    for parameter in (p for layer in layers for p in model.get_submodule(layer).parameters()):
        torch.nn.init.normal_(
            parameter, std=0.3
        )  # with the default initialisation all outputs are almost equal
    meta = dict(dataset_meta=dict(classes=classes, palette=[(0, 0, 0)] * len(classes)))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), folder / 'tiny_model.pth')
    return dict(
        model=str(folder / 'tiny_model.py'), checkpoint=str(folder / 'tiny_model.pth'), device='cpu'
    )


@pytest.fixture
def picture_files(pictures, tmp_path):
    """The pictures as files that the libraries read."""
    files = [tmp_path / 'images' / f'{number}.png' for number in range(len(pictures[0]))]
    files[0].parent.mkdir()
    for file, image in zip(files, pictures[0]):
        Image.fromarray(image).save(file)
    return files


def test_a_real_mask_rcnn_gives_the_union_of_the_instances_that_count(
    library, tmp_path, pictures, picture_files
):
    api = library('mmdet')
    options = save_model(tmp_path, api, MASK_RCNN, ('cat', 'dog'))
    results = api.inference_detector(
        api.init_detector(options['model'], options['checkpoint'], device='cpu'),
        [str(file) for file in picture_files],
    )
    threshold = float(torch.cat([result.pred_instances.scores for result in results]).median())
    segmenter = build_segmenter('mmdet', dict(options, score_threshold=threshold, foreground='dog'))
    for found, image, result in zip(segmenter.segment(pictures[0]), pictures[0], results):
        wanted = np.zeros(image.shape[:2], np.float32)
        for mask, score, label in zip(
            *(result.pred_instances[key] for key in ('masks', 'scores', 'labels'))
        ):
            if score >= threshold and label == 1:
                wanted[mask.numpy()] = 1
        assert 0 < wanted.mean() < 1 and np.array_equal(found, wanted) and found.dtype == np.float32


def test_a_real_mask_rcnn_without_instances_or_without_masks(library, tmp_path, pictures):
    segmenter = build_segmenter(
        'mmdet', save_model(tmp_path, library('mmdet'), MASK_RCNN, ('cat', 'dog'))
    )
    segmenter.model.roi_head.test_cfg.score_thr = 1
    for found, image in zip(segmenter.segment(pictures[0]), pictures[0]):
        assert found.shape == image.shape[:2] and not found.any()
    segmenter.model.roi_head.mask_head = None
    with pytest.raises(ValueError, match='boxes only'):
        segmenter.segment(pictures[0])


def segment_and_compare(api, options, pictures, picture_files, likely):
    """Foreground of each picture, which must be ``likely`` of the library's result for the file."""
    model = api.init_model(options['model'], options['checkpoint'], device='cpu')
    for found, image, file in zip(
        build_segmenter('mmseg', options).segment(pictures[0]), pictures[0], picture_files
    ):
        result = api.inference_model(model, str(file))
        np.testing.assert_allclose(found, likely(result.seg_logits.data), atol=1e-5)
        assert found.shape == image.shape[:2] and found.dtype == np.float32
        yield found, result.pred_sem_seg.data[0].numpy()


def test_a_real_segmentation_model_gives_the_probability_of_all_but_background(
    library, tmp_path, pictures, picture_files
):
    api = library('mmseg')
    options = save_model(tmp_path, api, FCN, ('background', 'cat', 'dog'))
    for found, _ in segment_and_compare(
        api, options, pictures, picture_files, lambda logits: 1 - logits.softmax(0)[0]
    ):
        assert 0 < found.min() < found.max() < 1


def test_a_real_binary_model_gives_its_probability(library, tmp_path, pictures, picture_files):
    api = library('mmseg')
    options = save_model(tmp_path, api, BINARY_FCN, ('background', 'vessel'))
    for found, predicted in segment_and_compare(
        api, options, pictures, picture_files, lambda probability: probability[0]
    ):
        assert np.array_equal(found > 0.5, predicted == 1)


def test_a_real_maskformer_gives_the_share_of_the_classes_in_its_scores(
    library, tmp_path, pictures, picture_files
):
    library('mmdet')  # whose heads mmseg takes
    api = library('mmseg')
    options = save_model(tmp_path, api, MASKFORMER, ('background', 'cat', 'dog'))
    for found, predicted in segment_and_compare(
        api, options, pictures, picture_files, lambda scores: 1 - scores[0] / scores.sum(0)
    ):
        assert np.array_equal(found > 0.5, predicted > 0)


@pytest.mark.parametrize(
    'name, recipe, classes',
    [('mmdet', MASK_RCNN, ('cat', 'dog')), ('mmseg', FCN, ('background', 'cat', 'dog'))],
)
def test_the_command_makes_masks_with_the_real_library(
    library, tmp_path, pictures, picture_files, name, recipe, classes
):
    options = save_model(tmp_path, library(name), recipe, classes)
    done = run_tool(
        'tools/generate_foreground.py',
        picture_files[0].parent,
        '--out',
        tmp_path / 'masks',
        '--segmenter',
        name,
        '--segmenter-options',
        *(f'{key}={value}' for key, value in options.items()),
    )
    assert done.returncode == 0, done.stderr
    for found, file in zip(build_segmenter(name, options).segment(pictures[0]), picture_files):
        assert np.array_equal(
            np.asarray(Image.open(tmp_path / 'masks' / file.name)), (found > 0.5) * np.uint8(255)
        )
