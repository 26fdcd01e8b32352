"""Files of earlier releases can be read and give the same outputs."""

import json

import cv2
import numpy as np
import pytest

from fvgpt.inference.bundle import load_bundle
from fvgpt.inference.inferencer import FVGPTInferencer
from fvgpt.tuners.checkpoint import read_checkpoint

from .releases.make import HERE, RECIPES, WHOLE, probabilities

RELEASES = sorted(folder for folder in HERE.iterdir() if (folder / 'outputs.json').exists())
FILES = [
    folder / name
    for folder in RELEASES
    for name in [*(f'{recipe}.pth' for recipe in RECIPES), 'bundle.json']
]


@pytest.mark.parametrize('file', FILES, ids=lambda file: '/'.join(file.parts[-2:]))
def test_a_file_of_a_release_gives_the_outputs_that_it_gave_then(file):
    folder = file.parent
    inferencer = (
        load_bundle(str(file))
        if file.name == 'bundle.json'
        else FVGPTInferencer(file, device='cpu')
    )
    images = [cv2.imread(str(image)) for image in sorted(folder.glob('*.png'))]
    expected = json.loads((folder / 'outputs.json').read_text())[
        WHOLE if file.name == 'bundle.json' else file.stem
    ]
    outputs = probabilities(inferencer, images)
    assert outputs.keys() == expected.keys() and len(images) == 6
    for key, rows in expected.items():
        np.testing.assert_allclose(outputs[key], rows, atol=1e-4, err_msg=key)


def test_the_fixtures_are_of_trained_models():
    """Equal outputs prove little if FVG-PT still equals its tuner, or the tuner zero-shot CLIP."""
    for folder in RELEASES:
        outputs = json.loads((folder / 'outputs.json').read_text())[WHOLE]
        fvgpt, tuner, clip = (
            np.array(outputs[f'base, {source}']) for source in ('fvgpt', 'tuner', 'zero_shot')
        )
        assert abs(fvgpt - tuner).max() > 1e-3 and abs(tuner - clip).max() > 1e-3
        content = read_checkpoint(str(folder / f'{WHOLE}.pth'))
        assert {'state_dict', 'optimizer', 'message_hub', 'param_schedulers'} <= content.keys()
