"""CoOp: learning to prompt for vision-language models (Zhou et al., IJCV 2022)."""

from typing import List, Optional, Sequence, Union

import torch
from torch import Tensor, nn

from ..clip.frozen_clip import FrozenCLIP
from ..clip.prompt_encoder import EmbeddedPrompts
from ..datasets.class_names import readable
from ..io.errors import UserError
from ..registry import MODELS
from .base import Features
from .context import ContextTuner

POSITIONS = ('end', 'middle', 'front')


@MODELS.register_module()
class CoOp(ContextTuner):
    """Learned context words: [SOS] v_1 .. v_M [CLASS] . [EOS] (Zhou et al., IJCV 2022, section 3.2).

    Args:
        clip, class_names, data_preprocessor: see :class:`~fvgpt.tuners.base.PromptTuner`.
        n_ctx: M, number of context tokens; ignored when ``ctx_init`` is given, whose tokens are counted.
        ctx_init: words to start from ("a photo of a"); left out, the context is drawn from N(0, 0.02).
        class_token_position: where the class name stands: ``end``, ``middle`` or ``front``.
        class_specific: one context per class (CSC). Such a tuner is bound to its classes: it needs ``class_names`` (or
            ``num_classes``) from the start and cannot take others.
        num_classes: number of contexts when ``class_specific`` and the names come later, from the dataset.
    """

    def __init__(
        self,
        clip: Union[FrozenCLIP, dict],
        n_ctx: int = 4,
        ctx_init: Optional[str] = None,
        class_token_position: str = 'end',
        class_specific: bool = False,
        num_classes: Optional[int] = None,
        class_names: Optional[Sequence[str]] = None,
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(
            clip, None if ctx_init else n_ctx, ctx_init, class_names, data_preprocessor
        )
        if class_token_position not in POSITIONS:
            raise UserError(
                f'class_token_position must be one of {POSITIONS}, not {class_token_position!r}'
            )
        self.class_token_position = class_token_position
        if class_specific:
            num_classes = num_classes or len(class_names or ())
            if not num_classes:
                raise UserError('class_specific=True needs class_names or num_classes')
            shape = (num_classes, *self.ctx.shape)
            self.ctx = nn.Parameter(
                self.ctx.data.expand(shape).clone()
                if ctx_init
                else nn.init.normal_(torch.empty(shape), std=0.02)
            )
        self.init_classes()

    def _build_classes(self, class_names: List[str]) -> None:
        if self.ctx.ndim == 3 and len(class_names) != len(self.ctx):
            raise UserError(
                f'this CoOp has class-specific contexts for {len(self.ctx)} classes and cannot take '
                f'{len(class_names)} others; train with class_specific=False to change classes later'
            )
        super()._build_classes(class_names)
        # With the class name last the sequence is [SOS] ctx name . [EOS]; the other forms are re-orderings of it.
        n_ctx, length = self.ctx.shape[-2], self._embeddings.shape[1]
        before = dict(end=n_ctx, middle=n_ctx // 2, front=0)[self.class_token_position]
        order = []
        for name in class_names:
            end = 1 + n_ctx + len(self.clip.tokenizer.encode(readable(name)))
            order.append(
                [
                    0,
                    *range(1, 1 + before),
                    *range(1 + n_ctx, end),
                    *range(1 + before, 1 + n_ctx),
                    *range(end, length),
                ]
            )
        self._prefix_ids = tuple(
            tuple(ids[i] for i in places[: len(ids)])
            for ids, places in zip(self._prefix_ids, order)
        )
        self.register_buffer(
            '_order', torch.tensor(order, device=self._eot.device), persistent=False
        )

    def prompts(self, ctx: Optional[Tensor] = None) -> EmbeddedPrompts:
        """The embedded prompts, with the class name where ``class_token_position`` says."""
        prompts = super().prompts(ctx)
        if self.class_token_position == 'end':
            return prompts
        order = self._order[..., None].expand(-1, -1, self.clip.text_width)
        return prompts._replace(embeddings=prompts.embeddings.gather(1, order))

    def encode_text(self) -> Features:
        """g (C, D)."""
        return dict(feature=self.clip.encode_prompts(self.prompts()))
