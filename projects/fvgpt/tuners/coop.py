"""CoOp: learning to prompt for vision-language models (Zhou et al., IJCV 2022)."""
from typing import List, Optional, Sequence, Union

import torch
from torch import nn

from ..clip.frozen_clip import FrozenCLIP
from ..clip.prompt_encoder import EmbeddedPrompts
from ..clip.prompts import readable
from ..registry import MODELS
from .base import Features, PromptTuner

POSITIONS = ('end', 'middle', 'front')


@MODELS.register_module()
class CoOp(PromptTuner):
    """Learned context words: [SOS] v_1 .. v_M [CLASS] . [EOS] (method of CoOp, section 3.2).

    Args:
        clip, class_names, data_preprocessor: see :class:`~fvgpt.tuners.base.PromptTuner`.
        n_ctx: M, number of context tokens; ignored when ``ctx_init`` is given, whose tokens are counted.
        ctx_init: words to start from ("a photo of a"); left out, the context is drawn from N(0, 0.02).
        class_token_position: where the class name stands: ``end``, ``middle`` or ``front``.
        class_specific: one context per class (CSC). Such a tuner is bound to its classes: it needs ``class_names`` (or
            ``num_classes``) from the start and cannot take others.
        num_classes: number of contexts when ``class_specific`` and the names come later, from the dataset.
    """

    def __init__(self, clip: Union[FrozenCLIP, dict], n_ctx: int = 4, ctx_init: Optional[str] = None,
                 class_token_position: str = 'end', class_specific: bool = False, num_classes: Optional[int] = None,
                 class_names: Optional[Sequence[str]] = None, data_preprocessor: Optional[dict] = None):
        super().__init__(clip, class_names, data_preprocessor)
        if class_token_position not in POSITIONS:
            raise ValueError(f'class_token_position must be one of {POSITIONS}, not {class_token_position!r}')
        self.class_token_position = class_token_position
        if ctx_init:
            self._prefix = readable(ctx_init)
            words = self.clip.tokenize([self._prefix])[0][1:-1]
            n_ctx, ctx = len(words), self.clip.embed_tokens(words).clone()
        elif n_ctx < 1:
            raise ValueError(f'n_ctx must be at least 1, not {n_ctx}')
        else:
            self._prefix = ' '.join(['X'] * n_ctx)
            ctx = None
        if class_specific:
            num_classes = num_classes or (class_names and len(class_names))
            if not num_classes:
                raise ValueError('class_specific=True needs class_names or num_classes')
        shape = ((num_classes, ) if class_specific else ()) + (n_ctx, self.clip.text_width)
        self.ctx = nn.Parameter(nn.init.normal_(torch.empty(shape), std=.02) if ctx is None else ctx.expand(shape).clone())
        self.init_classes()

    def _build_classes(self, class_names: List[str]) -> None:
        if self.ctx.ndim == 3 and len(class_names) != len(self.ctx):
            raise ValueError(f'this CoOp has class-specific contexts for {len(self.ctx)} classes and cannot take '
                             f'{len(class_names)} others; train with class_specific=False to change classes later')
        names = [readable(name) for name in class_names]
        all_ids = self.clip.tokenize([f'{self._prefix} {name}.' for name in names])
        prompts = self.clip.embed_prompts(all_ids)
        n_ctx, length = self.ctx.shape[-2], prompts.embeddings.shape[1]
        # With the class name last the sequence is [SOS] ctx name . [EOS]; the other forms are re-orderings of it.
        before = dict(end=n_ctx, middle=n_ctx // 2, front=0)[self.class_token_position]
        order = []
        for name in names:
            end = 1 + n_ctx + len(self.clip.tokenizer.encode(name))
            order.append([0, *range(1, 1 + before), *range(1 + n_ctx, end), *range(1 + before, 1 + n_ctx),
                          *range(end, length)])
        self.register_buffer('_embeddings', prompts.embeddings, persistent=False)
        self.register_buffer('_eot', prompts.eot, persistent=False)
        self.register_buffer('_order', torch.tensor(order, device=prompts.eot.device), persistent=False)

    def prompts(self) -> EmbeddedPrompts:
        """The prompts of all classes with the learned context in its place, differentiable in it."""
        count, _, width = self._embeddings.shape
        ctx = self.ctx.expand(count, -1, -1)
        embeddings = torch.cat([self._embeddings[:, :1], ctx, self._embeddings[:, 1 + ctx.shape[1]:]], 1)
        if self.class_token_position != 'end':
            embeddings = embeddings.gather(1, self._order[..., None].expand(-1, -1, width))
        return EmbeddedPrompts(embeddings, self._eot)

    def encode_text(self) -> Features:
        return dict(feature=self.clip.encode_prompts(self.prompts()))
