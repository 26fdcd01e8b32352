"""Image towers without a class token: they work unchanged, but no prompts can be placed in them."""

import pytest
import torch

from fvgpt.clip import FrozenCLIP, has_attention
from fvgpt.io.errors import UserError
from fvgpt.tuners import IVLP, MMRL, CoOp, MaPLe, PromptSRC

from ..conftest import write_clip_folder

TEXT = dict(context_length=77, vocab_size=49408, width=64, heads=2, layers=1)
TOWERS = dict(
    RN50=dict(image_size=32, layers=[1, 1, 1, 1], width=8, patch_size=None),
    ConvNeXt=dict(
        image_size=32,
        timm_model_name='convnext_atto',
        timm_model_pretrained=False,
        timm_pool='',
        timm_proj='linear',
    ),
    EVA02=dict(
        image_size=224,
        timm_model_name='eva02_tiny_patch14_224',
        timm_model_pretrained=False,
        timm_pool='token',
        timm_proj=None,
    ),
    PE=dict(
        image_size=384,
        timm_model_name='vit_pe_core_tiny_patch16_384',
        timm_model_pretrained=False,
        timm_pool='map',
        timm_proj=None,
    ),
)
MESSAGE = "is not one of open_clip's ViTs with a class token.* choose one of the ViT models"


@pytest.fixture(scope='module', params=sorted(TOWERS))
def clip(request, tmp_path_factory):
    config = dict(embed_dim=16, quick_gelu=True, vision_cfg=TOWERS[request.param], text_cfg=TEXT)
    folder = write_clip_folder(tmp_path_factory.mktemp('clip') / request.param, config)
    return FrozenCLIP(f'local-dir:{folder}', pretrained='random')


@pytest.mark.parametrize('member', ['vision_layers', 'vision_width', 'image_projection'])
def test_what_only_a_vit_has_is_refused_in_one_line(clip, member):
    with pytest.raises(UserError, match=MESSAGE) as error:
        getattr(clip, member)
    assert clip.name in str(error.value) and '\n' not in str(error.value)


def test_their_tokens_cannot_be_encoded(clip):
    with pytest.raises(UserError, match=MESSAGE):
        clip.encode_image_tokens(torch.zeros(1, 3, clip.image_size, clip.image_size))
    assert not clip.has_class_token and not has_attention(clip)


@pytest.mark.parametrize(
    'build',
    [
        lambda clip: MaPLe(clip, depth=1),
        lambda clip: IVLP(clip, depth_text=1, depth_vision=1),
        lambda clip: PromptSRC(clip, depth_text=1, depth_vision=1),
        lambda clip: MMRL(clip, layers=[1], rep_dim=8),
    ],
    ids=['MaPLe', 'IVLP', 'PromptSRC', 'MMRL'],
)
def test_tuners_of_the_image_tower_are_refused_in_the_same_line(clip, build):
    with pytest.raises(UserError, match=MESSAGE):
        build(clip)


def test_tuners_of_the_text_tower_work(clip):
    tuner = CoOp(clip, n_ctx=2).eval()
    tuner.set_class_names(['cat', 'dog'])
    images = torch.randn(1, 3, clip.image_size, clip.image_size)
    with torch.no_grad():
        logits = tuner.logits(tuner.encode_image(images), tuner.encode_text())
    assert logits.shape == (1, 2) and logits.isfinite().all()


def test_a_vit_has_them_all(random_clip):
    assert random_clip.has_class_token and has_attention(random_clip)
    assert (random_clip.vision_layers, random_clip.vision_width) == (2, 64)
    assert random_clip.image_projection.shape == (64, 16)
