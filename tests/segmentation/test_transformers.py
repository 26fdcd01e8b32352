"""The segmenter of Hugging Face's transformers, with small models of random weights."""

import numpy as np
import pytest
import torch

from fvgpt.segmentation import build_segmenter

transformers = pytest.importorskip('transformers', exc_type=ImportError)
if not transformers.is_torch_available():
    pytest.skip(f'transformers has no use for torch {torch.__version__}', allow_module_level=True)

BIREFNET_LIKE = '''
import torch
from transformers import PretrainedConfig, PreTrainedModel


class TinyConfig(PretrainedConfig):
    model_type = 'tiny-foreground'


class TinyForeground(PreTrainedModel):
    """Logits are red minus blue; returns intermediate outputs first, as BiRefNet does."""
    config_class = TinyConfig

    def __init__(self, config):
        super().__init__(config)
        self.mix = torch.nn.Conv2d(3, OUTPUTS, 1)
        self.post_init()

    def forward(self, pixel_values):
        logits = self.mix(pixel_values)
        return [torch.zeros_like(logits), logits]
'''


def tiny_sam(folder):
    vision = transformers.SamVisionConfig(
        hidden_size=16,
        output_channels=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=64,
        patch_size=16,
        window_size=2,
        global_attn_indexes=[0],
        mlp_dim=16,
        num_pos_feats=4,
        initializer_range=1.0,
    )
    prompt = transformers.SamPromptEncoderConfig(
        hidden_size=8, image_size=64, patch_size=16, mask_input_channels=4
    )
    decoder = transformers.SamMaskDecoderConfig(
        hidden_size=8, mlp_dim=16, num_hidden_layers=1, num_attention_heads=2, iou_head_hidden_dim=8
    )
    config = transformers.SamConfig(
        vision_config=vision,
        prompt_encoder_config=prompt,
        mask_decoder_config=decoder,
        initializer_range=1.0,
    )
    transformers.SamModel(config).save_pretrained(folder)
    transformers.SamProcessor(
        transformers.SamImageProcessor(
            size=dict(longest_edge=64),
            pad_size=dict(height=64, width=64),
            mask_size=dict(longest_edge=16),
            mask_pad_size=dict(height=16, width=16),
        )
    ).save_pretrained(folder)


def tiny_sam2(folder):
    backbone = transformers.Sam2HieraDetConfig(
        hidden_size=8,
        num_attention_heads=1,
        image_size=[64, 64],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 1, 1],
        window_size_per_stage=[4, 2, 2, 2],
        global_attention_blocks=[3],
        window_positional_embedding_background_size=[4, 4],
    )
    vision = transformers.Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        fpn_hidden_size=16,
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
    )
    prompt = transformers.Sam2PromptEncoderConfig(
        hidden_size=16, image_size=64, mask_input_channels=4
    )
    decoder = transformers.Sam2MaskDecoderConfig(
        hidden_size=16,
        mlp_dim=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        iou_head_hidden_dim=8,
    )
    config = transformers.Sam2Config(
        vision_config=vision,
        prompt_encoder_config=prompt,
        mask_decoder_config=decoder,
        initializer_range=1.0,
    )
    transformers.Sam2Model(config).save_pretrained(folder)
    transformers.Sam2Processor(
        transformers.Sam2ImageProcessor(
            size=dict(height=64, width=64), mask_size=dict(height=16, width=16)
        )
    ).save_pretrained(folder)


@pytest.fixture(scope='module', params=[tiny_sam, tiny_sam2])
def sam(request, tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp(request.param.__name__)
    request.param(folder)
    return str(folder)


@pytest.fixture(scope='module')
def birefnet_like(tmp_path_factory):
    """Save a model whose logits are red minus blue, with ``outputs`` channels."""

    def save(outputs=1):
        folder = tmp_path_factory.mktemp('birefnet_like')
        (folder / 'modeling_tiny.py').write_text(BIREFNET_LIKE.replace('OUTPUTS', str(outputs)))
        (folder / 'config.json').write_text(
            '{"model_type": "tiny-foreground", "auto_map": {"AutoConfig": '
            '"modeling_tiny.TinyConfig", "AutoModelForImageSegmentation": '
            '"modeling_tiny.TinyForeground"}}'
        )
        weight = torch.tensor([5.0, 0, -5]).view(1, 3, 1, 1).repeat(outputs, 1, 1, 1)
        torch.save(
            {'mix.weight': weight, 'mix.bias': torch.zeros(outputs)}, folder / 'pytorch_model.bin'
        )
        return str(folder)

    return save


@pytest.mark.parametrize('prompt', ['point', 'box', 'both'])
def test_batches_of_several_sizes_give_the_masks_of_single_images(sam, prompt, pictures):
    images, _ = pictures
    segmenter = build_segmenter('transformers', dict(model=sam, prompt=prompt, device='cpu'))
    for image, mask in zip(images, segmenter.segment(images)):
        assert mask.shape == image.shape[:2] and mask.dtype == np.float32
        assert 0 <= mask.min() < mask.max() <= 1
        np.testing.assert_allclose(mask, segmenter.segment([image])[0], atol=1e-3)


def test_the_mask_with_the_highest_predicted_iou_is_used(sam, pictures):
    image = pictures[0][0]
    found = build_segmenter('transformers', dict(model=sam, prompt='point', device='cpu')).segment(
        [image]
    )[0]
    model = transformers.AutoModelForMaskGeneration.from_pretrained(sam)
    processor = transformers.AutoProcessor.from_pretrained(sam)
    centre = [[[[image.shape[1] / 2, image.shape[0] / 2]]]]
    inputs = processor(
        images=[image], input_points=centre, input_labels=[[[1]]], return_tensors='pt'
    )
    inputs['input_points'] = inputs['input_points'].float()
    sizes = [inputs.pop(key) for key in ('original_sizes', 'reshaped_input_sizes') if key in inputs]
    with torch.inference_mode():
        outputs = model(**inputs)
    masks = processor.post_process_masks(outputs.pred_masks, *sizes)[0][0]
    assert np.array_equal(found > 0.5, masks[outputs.iou_scores[0, 0].argmax()].numpy())


def test_the_last_output_of_a_birefnet_like_model_is_used(birefnet_like, pictures):
    images, masks = pictures
    segmenter = build_segmenter(
        'transformers', dict(model=birefnet_like(), size=192, trust_remote_code=True, device='cpu')
    )
    for found, mask in zip(segmenter.segment(images), masks):
        assert found.shape == mask.shape and np.mean((found > 0.5) == mask) > 0.97


def test_remote_code_is_run_only_if_trusted(birefnet_like):
    with pytest.raises(ValueError, match='trust_remote_code'):
        build_segmenter('transformers', dict(model=birefnet_like(), device='cpu'))


def test_a_model_with_several_output_channels_is_refused(birefnet_like, pictures):
    images, _ = pictures
    segmenter = build_segmenter(
        'transformers', dict(model=birefnet_like(2), size=32, trust_remote_code=True, device='cpu')
    )
    with pytest.raises(ValueError, match=r'\(3, 2, 32, 32\).*\(B, 1, H, W\)'):
        segmenter.segment(images)


def test_models_of_other_kinds_and_wrong_prompts_are_refused(tmp_path):
    transformers.ViTConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="of the kind 'vit'"):
        build_segmenter('transformers', dict(model=str(tmp_path), device='cpu'))
    with pytest.raises(ValueError, match='prompt must be one of point, box, both'):
        build_segmenter('transformers', dict(model=str(tmp_path), prompt='text'))
    with pytest.raises(ValueError, match='needs model'):
        build_segmenter('transformers', {})
