"""CLIP as the fixed ground everything is trained on: the only module that knows open_clip's internals."""

import copy
from contextlib import nullcontext
from functools import cached_property
from textwrap import shorten
from typing import Any, ContextManager, List, Optional, Sequence

import torch
from torch import Tensor, nn

from ..io.errors import UserError
from ..registry import MODELS
from .prompt_encoder import EmbeddedPrompts, encode_prompts_in_chunks, text_tokens_that_fit
from .token_edits import TokenEdits
from .weight_hash import state_hash
from .weights import QUICKSTART_CLIP, load_clip

__all__ = ['FrozenCLIP', 'QUICKSTART_CLIP']
PRECISIONS = dict(bf16=torch.bfloat16, fp16=torch.float16)


@MODELS.register_module()
class FrozenCLIP(nn.Module):
    """A pretrained CLIP of open_clip that never changes.

    Its weights are no parameters of this module: they follow ``.to()``, but no optimizer, checkpoint, EMA copy or
    distributed wrapper sees them, and ``train()`` leaves them in evaluation mode. Gradients pass through it.

    Args:
        name: an open_clip model name (``ViT-B-16``), ``quickstart`` (the small CLIP that ships with fvgpt), or
            ``local-dir:FOLDER`` / ``hf-hub:NAME`` as open_clip has them.
        pretrained: an open_clip tag (``openai``), a weights file (OpenAI's .pt archive, or a .pt, .bin or
            .safetensors state dict), or ``random``. Left out where ``name`` brings its own weights.
        quick_gelu: follows from a tag, from an archive of OpenAI and from a name ending in ``-quickgelu``; must be
            given for other files, because the wrong activation costs accuracy silently.
        cache_dir: where open_clip keeps downloads.
        max_text_tokens: number of prompt tokens whose activations are kept at a time; beyond it text is encoded in chunks of
            classes and computed again in the backward pass, with the same gradients. Left out, what a quarter of the free
            memory holds.
        precision: ``bf16`` or ``fp16`` runs the towers in autocast; features come out in float32, and all that follows stays
            in it. None leaves that to ``--amp``.

    Raises:
        ValueError: unknown name, or settings that contradict each other.
        FileNotFoundError: weights that are not here; the message says where they are published.
    """

    def __init__(
        self,
        name: str = 'ViT-B-16',
        pretrained: Optional[str] = None,
        quick_gelu: Optional[bool] = None,
        cache_dir: Optional[str] = None,
        max_text_tokens: Optional[int] = None,
        precision: Optional[str] = None,
    ):
        super().__init__()
        if precision not in (None, *PRECISIONS):
            raise UserError(
                f'precision must be one of {", ".join(PRECISIONS)}, or left out, not {precision!r}'
            )
        if max_text_tokens is not None and max_text_tokens < 1:
            raise UserError(f'max_text_tokens must be at least 1, not {max_text_tokens}')
        self.max_text_tokens, self.precision = max_text_tokens, precision
        model, self.tokenizer = load_clip(name, pretrained, quick_gelu, cache_dir)
        self.name, self.pretrained = name, pretrained
        self._hidden = (
            model.eval().requires_grad_(False),
        )  # a tuple, so that nn.Module does not register it

    # ------------------------------------------------------------------ the hidden model
    @property
    def model(self) -> Any:
        """The open_clip model, which has no types."""
        return self._hidden[0]

    @property
    def text_tower(self) -> Any:
        """The module with token_embedding, positional_embedding, transformer, ln_final, text_projection."""
        return getattr(self.model, 'text', self.model)

    def _apply(self, fn, recurse: bool = True):
        self.model._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def __deepcopy__(self, memo):
        # Copies of a model (EMA, for one) share the frozen weights.
        twin = self.__class__.__new__(self.__class__)
        memo[id(self)] = twin
        twin.__dict__.update(
            {k: v if k == '_hidden' else copy.deepcopy(v, memo) for k, v in self.__dict__.items()}
        )
        return twin

    @cached_property
    def weight_hash(self) -> str:
        """sha256 over names and float32 values of all weights and over the activation: the identity of this CLIP."""
        return state_hash(self.model, str(self.quick_gelu))

    @property
    def quick_gelu(self) -> bool:
        """Whether the text tower uses x * sigmoid(1.702 x)."""
        return 'QuickGELU' in {type(m).__name__ for m in self.text_tower.modules()}

    # ------------------------------------------------------------------ sizes
    @property
    def embed_dim(self) -> int:
        """D, the dimension of the joint feature space."""
        return self.text_tower.text_projection.shape[1]

    @property
    def text_width(self) -> int:
        """W, the width of the text tower."""
        return self.text_tower.token_embedding.weight.shape[1]

    @property
    def text_layers(self) -> int:
        """Number of layers of the text tower."""
        return len(self.text_tower.transformer.resblocks)

    @property
    def vision_layers(self) -> int:
        """Number of layers of the image tower."""
        return len(self.model.visual.transformer.resblocks)

    @property
    def context_length(self) -> int:
        """Longest prompt in tokens, start and end tokens included."""
        return self.text_tower.positional_embedding.shape[0]

    @property
    def image_size(self) -> int:
        """Side of the square input in pixels."""
        size = self.model.visual.image_size
        return size[0] if isinstance(size, (tuple, list)) else size

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.text_tower.positional_embedding.device

    @cached_property
    def logit_scale(self) -> float:
        """s = exp(logit_scale), 100 for OpenAI's weights."""
        return round(float(self.model.logit_scale.detach().exp()), 4)

    # ------------------------------------------------------------------ text side
    def tokenize(self, texts: Sequence[str]) -> List[List[int]]:
        """Token ids with start and end token, one list a text, not padded.

        Raises:
            ValueError: names the text that is longer than the context length.
        """
        start, end = self.tokenizer.sot_token_id, self.tokenizer.eot_token_id
        all_ids = [[start, *self.tokenizer.encode(text), end] for text in texts]
        for text, ids in zip(texts, all_ids):
            if len(ids) > self.context_length:
                raise UserError(
                    f'the prompt {shorten(text, 60)!r} has {len(ids)} tokens, but {self.name} reads at most '
                    f'{self.context_length}; shorten the class name or the context'
                )
        return all_ids

    def embed_tokens(self, ids: Sequence) -> Tensor:
        """Token embeddings (..., W) of a list of ids or of equally long lists, without gradient."""
        weight = self.text_tower.token_embedding.weight
        return weight[torch.tensor(ids, dtype=torch.long, device=weight.device)]

    def embed_prompts(self, all_ids: Sequence[Sequence[int]]) -> EmbeddedPrompts:
        """Token lists to embedded prompts, padded with token 0 as CLIP does."""
        length = max(map(len, all_ids))
        padded = [list(ids) + [0] * (length - len(ids)) for ids in all_ids]
        embeddings = self.embed_tokens(padded)
        eot = torch.tensor([len(ids) - 1 for ids in all_ids], device=self.device)
        return EmbeddedPrompts(embeddings, eot, tuple(map(tuple, all_ids)))

    def encode_prompts(self, prompts: EmbeddedPrompts, edits: TokenEdits = {}) -> Tensor:
        """Text features (N, D), not normalised; differentiable in the embeddings and in the tokens that ``edits`` place."""
        tokens = self.max_text_tokens or text_tokens_that_fit(self.text_tower, self.device)
        with self.in_precision():
            return self._out(encode_prompts_in_chunks(self.text_tower, prompts, edits, tokens))

    def in_precision(self) -> ContextManager:
        """The context that the towers run in."""
        if self.precision is None:
            return nullcontext()
        return torch.autocast(self.device.type, PRECISIONS[self.precision])

    def _out(self, features: Tensor) -> Tensor:
        return features if self.precision is None else features.float()

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Text features (N, D) of plain texts, not normalised."""
        return self.encode_prompts(self.embed_prompts(self.tokenize(texts)))

    # ------------------------------------------------------------------ image side
    def encode_image(self, images: Tensor) -> Tensor:
        """Image features (B, D) of normalised images (B, 3, H, W), not L2-normalised; differentiable in the images."""
        with self.in_precision():
            features = self.model.visual(images)
        return self._out(features[0] if isinstance(features, tuple) else features)

    @property
    def vision_width(self) -> int:
        """Width of the image tower.

        Raises:
            ValueError: it is no ViT with a class token, which is what prompts can be placed in.
        """
        if (
            getattr(self.model.visual, 'pool_type', None) != 'tok'
            or self.model.visual.attn_pool is not None
        ):
            raise UserError(
                f'{self.name} has no ViT with a class token as image tower, so no prompts can be placed in it; '
                'choose one of the ViT models, e.g. ViT-B-16'
            )
        return self.model.visual.class_embedding.shape[0]

    def encode_image_tokens(
        self, images: Tensor, appended: Optional[Tensor] = None, edits: TokenEdits = {}
    ) -> Tensor:
        """All tokens (B, T, W) after the last block and ``ln_post``, class token first; differentiable in the prompts.

        Args:
            images: normalised, (B, 3, H, W).
            appended: prompts (n, W) put after the patch tokens, before ``ln_pre``, without positional embedding.
            edits: edits of the token sequence before given blocks.
        """
        visual = self.model.visual
        with self.in_precision():
            x = visual._embeds(images)
            if appended is not None:
                x = torch.cat(
                    [x, visual.ln_pre(appended).to(x.dtype).expand(x.shape[0], -1, -1)], 1
                )
            for index, block in enumerate(visual.transformer.resblocks):
                if index in edits:
                    x = edits[index](x)
                x = block(x)
            return self._out(visual.ln_post(x))

    @property
    def image_projection(self) -> Tensor:
        """(W, D), from the image tower's class token into the joint space."""
        return self.model.visual.proj
