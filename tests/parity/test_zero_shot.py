"""Zero-shot CLIP equals the original trainers for every data set's template."""

import pytest
import torch
import torch.nn.functional as F

from fvgpt.clip import CUSTOM_TEMPLATES
from fvgpt.tuners import ZeroShotCLIP

from .golden import load_run


@pytest.fixture(scope='module')
def golden(parity):
    return (
        *load_run(parity / 'methods' / 'zeroshot_clip.safetensors'),
        load_run(parity / 'common' / 'batches.safetensors')[0]['eval_images'].float(),
    )


# data sets that the originals do not have
OURS = {'CounterAnimal', 'ImageNet9', 'ImageNetS', 'Waterbirds'}


@pytest.mark.parametrize('dataset', sorted(CUSTOM_TEMPLATES.keys() - OURS))
@pytest.mark.parametrize('subset', ['base', 'new'])
def test_text_features_and_logits(golden, tiny_clip, dataset, subset):
    arrays, settings, images = golden
    assert CUSTOM_TEMPLATES[dataset] == settings[f'template.{dataset}']
    model = ZeroShotCLIP(tiny_clip, template=dataset)
    model.set_class_names(settings[f'class_names_{subset}'])
    text = F.normalize(model.encode_text()['feature'], dim=-1)
    torch.testing.assert_close(text, arrays[f'{dataset}.{subset}.text_features'], atol=1e-5, rtol=0)
    torch.testing.assert_close(
        model(images), arrays[f'{dataset}.{subset}.logits'], atol=5e-4, rtol=0
    )
