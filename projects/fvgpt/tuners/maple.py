"""MaPLe: multi-modal prompt learning (Khattak et al., CVPR 2023)."""

from typing import Dict, Optional, Sequence, Union

from torch import Tensor, nn

from ..clip.frozen_clip import FrozenCLIP
from ..clip.token_edits import replace_last_tokens, replace_tokens
from ..registry import MODELS
from .base import Features
from .context import ContextTuner
from .ivlp import check_depth, deep_prompts


@MODELS.register_module()
class MaPLe(ContextTuner):
    """Text prompts as in IVLP; the image prompts of each layer are a linear map of the text prompts
    (Khattak et al., CVPR 2023).

    Args:
        clip, class_names, data_preprocessor: see :class:`~fvgpt.tuners.base.PromptTuner`.
        n_ctx: number of prompts, the first tokens of ``ctx_init``.
        depth: number of layers of either tower that have prompts.
        ctx_init: words to start from.
    """

    image_tower_is_clip = False

    def __init__(
        self,
        clip: Union[FrozenCLIP, dict],
        n_ctx: int = 2,
        depth: int = 9,
        ctx_init: Optional[str] = 'a photo of a',
        class_names: Optional[Sequence[str]] = None,
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(clip, n_ctx, ctx_init, class_names, data_preprocessor)
        check_depth(depth, min(self.clip.text_layers, self.clip.vision_layers), 'depth')
        self.deep_text = deep_prompts(depth, n_ctx, self.clip.text_width)
        self.couplings = nn.ModuleList(
            nn.Linear(self.clip.text_width, self.clip.vision_width) for _ in range(depth)
        )
        self.init_classes()

    def encode_text(self) -> Features:
        """g (C, D), with prompts in ``depth`` layers."""
        edits = {layer: replace_tokens(tokens) for layer, tokens in enumerate(self.deep_text, 1)}
        return dict(feature=self.clip.encode_prompts(self.prompts(), edits))

    def encode_image(self, images: Tensor) -> Dict[str, Tensor]:
        """f (B, D), with the text prompts, mapped, in ``depth`` layers."""
        shallow, *deep = (
            couple(text) for couple, text in zip(self.couplings, (self.ctx, *self.deep_text))
        )
        edits = {layer: replace_last_tokens(tokens) for layer, tokens in enumerate(deep, 1)}
        return dict(
            feature=self.clip.encode_image_tokens(images, shallow, edits)[:, 0]
            @ self.clip.image_projection
        )
