"""MaPLe: multi-modal prompt learning (Khattak et al., CVPR 2023)."""

from typing import Optional, Union

from torch import Tensor, nn

from ..clip.frozen_clip import FrozenCLIP
from ..clip.token_edits import replace_last_tokens, replace_tokens
from ..registry import MODELS
from .context import ContextTuner
from .deep_prompts import check_depth, deep_prompts
from .features import Features


@MODELS.register_module()
class MaPLe(ContextTuner):
    """Deep text prompts; the image prompts of each layer are a linear map of the text prompts
    (Khattak et al., CVPR 2023).

    Args:
        clip, data_preprocessor: see :class:`~fvgpt.tuners.base.PromptTuner`.
        n_ctx: number of prompts, the first tokens of ``ctx_init``.
        depth: number of layers of either tower that have prompts.
        ctx_init: words to start from; ignored if they have fewer than ``n_ctx`` tokens.

    Raises:
        UserError: a tower has fewer layers, or the image tower has no class token.
    """

    image_tower_is_clip = False

    def __init__(
        self,
        clip: Union[FrozenCLIP, dict],
        n_ctx: int = 2,
        depth: int = 9,
        ctx_init: Optional[str] = 'a photo of a',
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(clip, n_ctx, ctx_init, data_preprocessor)
        check_depth(depth, min(self.clip.text_layers, self.clip.vision_layers), 'depth')
        text_width, vision_width = self.clip.text_width, self.clip.vision_width
        self.deep_text = deep_prompts(depth, n_ctx, text_width)
        self.couplings = nn.ModuleList(nn.Linear(text_width, vision_width) for _ in range(depth))

    def encode_text(self) -> Features:
        """g (C, D), with prompts in ``depth`` layers."""
        edits = {layer: replace_tokens(tokens) for layer, tokens in enumerate(self.deep_text, 1)}
        return dict(feature=self.clip.encode_prompts(self.prompts(), edits))

    def encode_image(self, images: Tensor) -> Features:
        """f (B, D), with the mapped text prompts in ``depth`` layers."""
        prompts = [
            couple(text) for couple, text in zip(self.couplings, (self.ctx, *self.deep_text))
        ]
        edits = {layer: replace_last_tokens(tokens) for layer, tokens in enumerate(prompts[1:], 1)}
        tokens = self.clip.encode_image_tokens(images, prompts[0], edits)
        return dict(feature=tokens[:, 0] @ self.clip.image_projection)
