"""CoOp: learning to prompt for vision-language models (Zhou et al., IJCV 2022)."""

from typing import List, Optional, Union

import torch
from torch import Tensor, nn

from ..clip.frozen_clip import FrozenCLIP
from ..clip.prompt_encoder import EmbeddedPrompts
from ..datasets.class_names import readable
from ..io.errors import UserError
from ..registry import MODELS
from .context import ContextTuner
from .features import Features

POSITIONS = ('end', 'middle', 'front')


@MODELS.register_module()
class CoOp(ContextTuner):
    """Learned context words: [SOS] v_1 .. v_M [CLASS] . [EOS] (Zhou et al., IJCV 2022, sec. 3.2).

    Args:
        clip, data_preprocessor: see :class:`~fvgpt.tuners.base.PromptTuner`.
        n_ctx: M, number of context tokens; ignored if ``ctx_init`` is given, whose tokens are
            counted.
        ctx_init: words to start from ("a photo of a"). Without them the context is drawn from
            N(0, 0.02).
        class_token_position: position of the class name: ``end``, ``middle`` or ``front``.
        class_specific: one context per class (CSC). Such a tuner cannot change to a different
            number of classes.
        num_classes: number of contexts; needed with ``class_specific``.

    Raises:
        UserError: an unknown position, or ``class_specific`` without ``num_classes``.
    """

    def __init__(
        self,
        clip: Union[FrozenCLIP, dict],
        n_ctx: int = 4,
        ctx_init: Optional[str] = None,
        class_token_position: str = 'end',
        class_specific: bool = False,
        num_classes: Optional[int] = None,
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(clip, None if ctx_init else n_ctx, ctx_init, data_preprocessor)
        if class_token_position not in POSITIONS:
            raise UserError(
                f'class_token_position must be one of {POSITIONS}, not {class_token_position!r}'
            )
        self.class_token_position = class_token_position
        if class_specific:
            if not num_classes:
                raise UserError('class_specific=True needs num_classes')
            shape = (num_classes, *self.ctx.shape)
            self.ctx = nn.Parameter(
                self.ctx.data.expand(shape).clone()
                if ctx_init
                else nn.init.normal_(torch.empty(shape), std=0.02)
            )

    def _build_classes(self, class_names: List[str]) -> None:
        if self.ctx.ndim == 3 and len(class_names) != len(self.ctx):
            raise UserError(
                f'this CoOp has class-specific contexts for {len(self.ctx)} classes and cannot '
                f'take {len(class_names)} others; train with class_specific=False to change '
                'classes later'
            )
        super()._build_classes(class_names)
        # With the class name last the sequence is [SOS] ctx name . [EOS]; the other forms are
        # re-orderings of it.
        n_ctx, length = self.ctx.shape[-2], self._embeddings.shape[1]
        before = dict(end=n_ctx, middle=n_ctx // 2, front=0)[self.class_token_position]
        order = []
        for name in class_names:
            end = 1 + n_ctx + len(self.clip.tokenizer.encode(readable(name)))
            start, rest = range(1, 1 + before), range(1 + before, 1 + n_ctx)
            order.append([0, *start, *range(1 + n_ctx, end), *rest, *range(end, length)])
        self._prefix_ids = tuple(
            tuple(ids[i] for i in places[: len(ids)])
            for ids, places in zip(self._prefix_ids, order)
        )
        order_buffer = torch.tensor(order, device=self._eot.device)
        self.register_buffer('_order', order_buffer, persistent=False)

    def prompts(self, ctx: Optional[Tensor] = None) -> EmbeddedPrompts:
        """The embedded prompts, with the class name at ``class_token_position``."""
        prompts = super().prompts(ctx)
        if self.class_token_position == 'end':
            return prompts
        order = self._order[..., None].expand(-1, -1, self.clip.text_width)
        return prompts._replace(embeddings=prompts.embeddings.gather(1, order))

    def encode_text(self) -> Features:
        """g (C, D)."""
        return dict(feature=self.clip.encode_prompts(self.prompts()))
