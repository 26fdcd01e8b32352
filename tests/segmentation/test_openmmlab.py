"""The adapters to MMDetection and MMSegmentation against their documented functions; the libraries themselves are not used."""
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData

from fvgpt.segmentation import build_segmenter


def install(monkeypatch, library, **functions):
    """Make ``library.apis`` a module with these functions."""
    module, apis = ModuleType(library), ModuleType(f'{library}.apis')
    apis.__dict__.update(functions)
    monkeypatch.setitem(sys.modules, library, module)
    monkeypatch.setitem(sys.modules, f'{library}.apis', apis)


@pytest.fixture
def mmdet(monkeypatch):
    """Three instances: a cat in the top half, a dog in the left half, and a doubtful cat everywhere; masks optional."""
    def init_detector(config, checkpoint=None, palette='none', device='cuda:0', cfg_options=None):
        assert (config, checkpoint, device) == ('mask_rcnn.py', 'mask_rcnn.pth', 'cpu')
        return SimpleNamespace(dataset_meta=dict(classes=('cat', 'dog')), seen=[], boxes_only=False, found=3)

    def inference_detector(model, imgs):
        model.seen += imgs
        results = []
        for height, width in (img.shape[:2] for img in imgs):
            masks = torch.zeros(3, height, width, dtype=torch.bool)
            masks[0, :height // 2], masks[1, :, :width // 2], masks[2] = True, True, True
            instances = InstanceData(scores=torch.tensor([.9, .8, .1]), labels=torch.tensor([0, 1, 0]), masks=masks)
            if model.boxes_only:
                del instances.masks
            results.append(SimpleNamespace(pred_instances=instances[:model.found]))
        return results

    install(monkeypatch, 'mmdet', init_detector=init_detector, inference_detector=inference_detector)
    return dict(model='mask_rcnn.py', checkpoint='mask_rcnn.pth', device='cpu')


def test_mmdet_gives_the_union_of_the_instances_that_count(mmdet):
    images = [np.random.default_rng(0).integers(0, 255, size, dtype=np.uint8) for size in ((8, 6, 3), (4, 10, 3))]
    segmenter = build_segmenter('mmdet', mmdet)
    for mask, image in zip(segmenter.segment(images), images):
        height, width = image.shape[:2]
        wanted = np.zeros((height, width), np.float32)
        wanted[:height // 2] = wanted[:, :width // 2] = 1
        assert np.array_equal(mask, wanted) and mask.dtype == np.float32
    assert all(np.array_equal(seen[..., ::-1], image) for seen, image in zip(segmenter.model.seen, images))  # BGR
    dogs = build_segmenter('mmdet', dict(mmdet, foreground='dog')).segment(images[:1])[0]
    assert dogs[:, :3].all() and not dogs[:, 3:].any()
    assert build_segmenter('mmdet', dict(mmdet, score_threshold=.05)).segment(images[:1])[0].all()


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


def test_mmseg_sums_the_probabilities_of_the_classes_that_count(monkeypatch):
    options = install_mmseg(monkeypatch, ('background', 'cat', 'dog'), np.log([.5, .3, .2]).tolist())
    images = [np.zeros((4, 6, 3), np.uint8), np.zeros((5, 3, 3), np.uint8)]
    for foreground, wanted in ((None, .5), ('cat', .3), (['cat', 'background'], .8)):
        masks = build_segmenter('mmseg', dict(options, foreground=foreground)).segment(images)
        for mask, image in zip(masks, images):
            assert mask.shape == image.shape[:2] and mask.dtype == np.float32
            np.testing.assert_allclose(mask, wanted, atol=1e-6)


def test_mmseg_gives_the_probability_of_a_binary_model_as_it_is(monkeypatch):
    options = install_mmseg(monkeypatch, ('background', 'vessel'), [.7])
    np.testing.assert_allclose(build_segmenter('mmseg', options).segment([np.zeros((2, 2, 3), np.uint8)])[0], .7)


def test_mmseg_without_background_class_asks_which_classes_count(monkeypatch):
    options = install_mmseg(monkeypatch, ('wall', 'bed'), [0., 1.])
    with pytest.raises(ValueError, match='foreground=wall,bed'):
        build_segmenter('mmseg', options)
    assert build_segmenter('mmseg', dict(options, foreground='bed')).segment([np.zeros((2, 2, 3), np.uint8)])[0].min() > .5


def test_a_checkpoint_is_needed():
    with pytest.raises(ValueError, match='the segmenter mmdet needs checkpoint'):
        build_segmenter('mmdet', dict(model='x.py'))


@pytest.mark.parametrize('name', ['mmdet', 'mmseg'])
def test_a_missing_library_says_how_it_is_installed(monkeypatch, name):
    monkeypatch.setitem(sys.modules, f'{name}.apis', None)
    with pytest.raises(ImportError, match=f'{name}.apis cannot be imported.*install {name}.*full mmcv'):
        build_segmenter(name, dict(model='x.py', checkpoint='x.pth'))
