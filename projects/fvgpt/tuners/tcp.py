"""TCP: textual-based class-aware prompt tuning (Yao et al., CVPR 2024)."""

from typing import Optional, Union

import torch.nn.functional as F
from open_clip.transformer import QuickGELU
from torch import nn

from ..clip.frozen_clip import FrozenCLIP
from ..clip.prompts import CUSTOM
from ..clip.token_edits import replace_tokens
from ..registry import MODELS
from .deep_prompts import check_depth
from .features import Features
from .kgcoop import KgCoOp


@MODELS.register_module()
class TCP(KgCoOp):
    """KgCoOp plus context tokens from each class's own CLIP text feature (Yao et al., CVPR 2024).

    A bottleneck D -> hidden -> M x W maps the normalised hand-written text feature to M tokens per
    class, which replace the context before one block of the text tower.

    Args:
        clip, n_ctx, ctx_init, weight, template, data_preprocessor: see
            :class:`~fvgpt.tuners.kgcoop.KgCoOp`.
        layer: index of that block, counted from 0.
        hidden: width of the bottleneck.
    """

    def __init__(
        self,
        clip: Union[FrozenCLIP, dict],
        n_ctx: int = 4,
        ctx_init: Optional[str] = 'a photo of a',
        weight: float = 8.0,
        layer: int = 8,
        hidden: int = 128,
        template: str = CUSTOM,
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(clip, n_ctx, ctx_init, weight, template, data_preprocessor)
        check_depth(layer + 1, self.clip.text_layers, 'layer + 1')
        self.layer = layer
        self.meta_net = nn.Sequential(
            nn.Linear(self.clip.embed_dim, hidden),
            QuickGELU(),
            nn.Linear(hidden, len(self.ctx) * self.clip.text_width),
        )

    def encode_text(self) -> Features:
        """g (C, D), with the tokens of each class before block ``layer``."""
        tokens = self.meta_net(F.normalize(self.clip_text.float(), dim=-1))
        edits = {self.layer: replace_tokens(tokens.unflatten(-1, self.ctx.shape))}
        return dict(feature=self.clip.encode_prompts(self.prompts(), edits))
