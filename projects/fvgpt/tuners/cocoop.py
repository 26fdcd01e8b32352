"""CoCoOp: conditional prompt learning (Zhou et al., CVPR 2022)."""

from typing import Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..clip.frozen_clip import FrozenCLIP
from ..names import Branch
from ..registry import MODELS
from .context import ContextTuner
from .features import Features


@MODELS.register_module()
class CoCoOp(ContextTuner):
    """CoOp whose context tokens are shifted per image by a small network of the image feature
    (Zhou et al., CVPR 2022).

    pi = W2 relu(W1 f(x)) with f of unit length; every context token becomes v_m + pi. Each image
    has its own text features, so :meth:`logits` encodes the classes for each image, in evaluation
    too. :meth:`encode_text` returns the features at pi = 0; FVG-PT's text adapter reads these,
    while z_full and z_fg come from the conditioned prompts.

    Args:
        clip, n_ctx, ctx_init, data_preprocessor: see :class:`~fvgpt.tuners.context.ContextTuner`.
    """

    text_depends_on_image = True
    logits_are_cosine = False

    def __init__(
        self,
        clip: Union[FrozenCLIP, dict],
        n_ctx: Optional[int] = None,
        ctx_init: Optional[str] = 'a photo of a',
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(clip, n_ctx if n_ctx or ctx_init else 4, ctx_init, data_preprocessor)
        dim = self.clip.embed_dim
        self.meta_net = nn.Sequential(
            nn.Linear(dim, dim // 16), nn.ReLU(), nn.Linear(dim // 16, self.clip.text_width)
        )

    def adapt_image(self, clip_feature: Tensor) -> Features:
        """f (B, D), the original CLIP's, and ``shift``, pi (B, W) of the meta-net."""
        shift = self.meta_net(F.normalize(clip_feature.float(), dim=-1))
        return dict(feature=clip_feature, shift=shift)

    def encode_text(self) -> Features:
        """g (C, D) at pi = 0."""
        return dict(feature=self.clip.encode_prompts(self.prompts()))

    def conditioned_text(self, shift: Tensor) -> Tensor:
        """Text features (C, D) for one image's pi (W,)."""
        return self.clip.encode_prompts(self.prompts(self.ctx + shift))

    def logits(self, image: Features, text: Features, branch: str = Branch.BASE) -> Tensor:
        """Logits (B, C), each image's with the text features of its own pi; ``text`` is unused."""
        rows = []
        for f, shift in zip(image['feature'], image['shift']):
            text = dict(feature=self.conditioned_text(shift))
            rows.append(super().logits(dict(feature=f[None]), text))
        return torch.cat(rows)
