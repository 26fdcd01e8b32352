"""Learned context words in front of the class name: the part that most prompt tuners share."""

from typing import List, Optional, Union

import torch
from torch import Tensor, nn

from ..clip.frozen_clip import FrozenCLIP
from ..clip.prompt_encoder import EmbeddedPrompts
from ..datasets.class_names import readable
from ..io.errors import UserError
from .base import PromptTuner


class ContextTuner(PromptTuner):
    """Prompts [SOS] v_1 .. v_M [rest of the initial words] [CLASS] . [EOS] with learned v.

    Args:
        clip, data_preprocessor: see :class:`~fvgpt.tuners.base.PromptTuner`.
        n_ctx: M. None takes all tokens of ``ctx_init``. A smaller number makes the first M of them
            learnable and leaves the others as they are (MaPLe, IVLP). A larger number ignores
            ``ctx_init``, as the original code of MaPLe, IVLP and PromptSRC does.
        ctx_init: words to start from ("a photo of a"). Without them the context is drawn from
            N(0, 0.02).

    Raises:
        UserError: there would be no context token.
    """

    def __init__(
        self,
        clip: Union[FrozenCLIP, dict],
        n_ctx: Optional[int] = 4,
        ctx_init: Optional[str] = None,
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(clip, data_preprocessor)
        prefix = readable(ctx_init) if ctx_init else ''
        words = self.clip.tokenize([prefix])[0][1:-1] if prefix else []
        n_ctx = len(words) if n_ctx is None else n_ctx
        if n_ctx < 1:
            raise UserError(f'n_ctx={n_ctx}: at least 1 context token is needed')
        if n_ctx <= len(words):
            self._prefix, ctx = prefix, self.clip.embed_tokens(words[:n_ctx]).clone()
        else:
            self._prefix = ' '.join(['X'] * n_ctx)
            ctx = nn.init.normal_(torch.empty(n_ctx, self.clip.text_width), std=0.02)
        self.ctx = nn.Parameter(ctx)

    def _build_classes(self, class_names: List[str]) -> None:
        self.cache_prompts([f'{self._prefix} {readable(name)}.' for name in class_names])
        learned = tuple(range(-self.ctx.shape[-2], 0))  # not the id of any token
        self._prefix_ids = tuple(
            (*ids[:1], *learned, *ids[1 + len(learned) :]) for ids in self._prefix_ids
        )

    def prompts(self, ctx: Optional[Tensor] = None) -> EmbeddedPrompts:
        """The prompts of all classes with the context ``ctx``, (M, W) or (C, M, W); by default the
        learned one."""
        ctx = self.ctx if ctx is None else ctx
        own = None if ctx.ndim == 2 else 1
        ctx = ctx.expand(len(self._embeddings), -1, -1)
        embeddings = torch.cat(
            [self._embeddings[:, :1], ctx, self._embeddings[:, 1 + ctx.shape[1] :]], 1
        )
        return EmbeddedPrompts(embeddings, self._eot, self._prefix_ids, own)
