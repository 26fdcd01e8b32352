"""IVLP: independent vision-language prompting (from MaPLe, Khattak et al., CVPR 2023)."""

from typing import Optional, Union

import torch
from torch import Tensor, nn

from ..clip.frozen_clip import FrozenCLIP
from ..clip.token_edits import replace_last_tokens, replace_tokens
from ..registry import MODELS
from .context import ContextTuner
from .deep_prompts import check_depth, deep_prompts
from .features import Features


@MODELS.register_module()
class IVLP(ContextTuner):
    """Prompts in both towers, learned independently, with own ones in each of the first layers
    (the baseline of MaPLe, Khattak et al., CVPR 2023).

    Text prompts are at positions 1 .. n_ctx; image prompts are appended after the patch tokens. In
    the layers 2 .. depth both are replaced by the layer's own.

    Args:
        clip, data_preprocessor: see :class:`~fvgpt.tuners.base.PromptTuner`.
        n_ctx, n_ctx_vision: number of prompts in the text and image tower.
        depth_text, depth_vision: number of layers that have prompts.
        ctx_init: words whose first ``n_ctx`` tokens the text prompts start from; ignored if they
            have fewer tokens.

    Raises:
        UserError: the towers have fewer layers, or the image tower has no class token.
    """

    image_tower_is_clip = False

    def __init__(
        self,
        clip: Union[FrozenCLIP, dict],
        n_ctx: int = 2,
        n_ctx_vision: int = 2,
        depth_text: int = 9,
        depth_vision: int = 9,
        ctx_init: Optional[str] = 'a photo of a',
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(clip, n_ctx, ctx_init, data_preprocessor)
        width = self.clip.vision_width
        check_depth(depth_text, self.clip.text_layers, 'depth_text')
        check_depth(depth_vision, self.clip.vision_layers, 'depth_vision')
        self.ctx_vision = nn.Parameter(nn.init.normal_(torch.empty(n_ctx_vision, width), std=0.02))
        self.deep_text = deep_prompts(depth_text, n_ctx, self.clip.text_width)
        self.deep_vision = deep_prompts(depth_vision, n_ctx_vision, width)

    def encode_text(self) -> Features:
        """g (C, D), with prompts in ``depth_text`` layers."""
        edits = {layer: replace_tokens(tokens) for layer, tokens in enumerate(self.deep_text, 1)}
        return dict(feature=self.clip.encode_prompts(self.prompts(), edits))

    def encode_image(self, images: Tensor) -> Features:
        """f (B, D), with prompts in ``depth_vision`` layers."""
        edits = {
            layer: replace_last_tokens(tokens) for layer, tokens in enumerate(self.deep_vision, 1)
        }
        tokens = self.clip.encode_image_tokens(images, self.ctx_vision, edits)
        return dict(feature=tokens[:, 0] @ self.clip.image_projection)
