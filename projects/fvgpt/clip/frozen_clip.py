"""The frozen CLIP: features, sizes and access to the tokens of both towers, on top of open_clip."""

import copy
from contextlib import nullcontext
from functools import cached_property
from textwrap import shorten
from typing import Any, ContextManager, List, Optional, Sequence

import torch
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn

from ..io.errors import UserError
from ..registry import MODELS
from .prompt_encoder import EmbeddedPrompts, encode_prompts_in_chunks, text_tokens_that_fit
from .prompts import fill_template
from .state_hash import state_hash
from .token_edits import TokenEdits
from .weights import QUICKSTART_CLIP, load_clip

__all__ = ['FrozenCLIP', 'QUICKSTART_CLIP']
PRECISIONS = dict(bf16=torch.bfloat16, fp16=torch.float16)


@MODELS.register_module()
class FrozenCLIP(nn.Module):
    """A pretrained CLIP of open_clip whose weights never change.

    The weights are not parameters of this module. They follow ``.to()``, but no optimizer,
    checkpoint, EMA copy or distributed wrapper sees them, and ``train()`` leaves them in evaluation
    mode. Gradients flow through the towers to images and prompts.

    Args:
        name: an open_clip model name (``ViT-B-16``), ``quickstart`` (the small CLIP that ships with
            fvgpt), or open_clip's ``local-dir:FOLDER`` and ``hf-hub:NAME``.
        pretrained: an open_clip tag (``openai``), a weights file (OpenAI's .pt archive, or a .pt,
            .bin or .safetensors state dict), or ``random``. Omit it if ``name`` is ``quickstart``,
            a folder or a hub name, which have weights of their own.
        quick_gelu: whether the towers use QuickGELU, x sigmoid(1.702 x). It is known for tags, for
            archives of OpenAI and for names that end in ``-quickgelu``. Set it for other files,
            because the wrong activation lowers the accuracy without any error.
        cache_dir: folder for open_clip's downloads.
        max_text_tokens: number of prompt tokens whose activations are in memory at a time. More
            tokens are encoded in chunks of prompts and computed again in the backward pass, with
            the same gradients. Default: as many as fit into a quarter of the free memory.
        precision: ``bf16`` or ``fp16`` runs the towers in autocast. Features are returned in
            float32 and everything after the towers runs in float32. None leaves the choice to
            ``--amp``.

    Raises:
        ValueError: unknown name, or arguments that contradict each other.
        FileNotFoundError: the weights are not on this machine and cannot be downloaded. The message
            tells where they are published.
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
                f'precision must be one of {", ".join(PRECISIONS)}, or omitted, not {precision!r}'
            )
        if max_text_tokens is not None and max_text_tokens < 1:
            raise UserError(f'max_text_tokens must be at least 1, not {max_text_tokens}')
        self.max_text_tokens, self.precision = max_text_tokens, precision
        model, self.tokenizer = load_clip(name, pretrained, quick_gelu, cache_dir)
        self.name, self.pretrained = name, pretrained
        # In a tuple, so that nn.Module does not register it as a sub-module.
        self._hidden = (model.eval().requires_grad_(False),)

    # ------------------------------------------------------------------ the hidden model
    @property
    def model(self) -> Any:
        """The open_clip model (without type annotations)."""
        return self._hidden[0]

    @property
    def text_tower(self) -> Any:
        """open_clip's text tower.

        It has ``token_embedding``, ``positional_embedding``, ``transformer``, ``ln_final`` and
        ``text_projection``.
        """
        return getattr(self.model, 'text', self.model)

    def _apply(self, fn, recurse: bool = True):
        self.model._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def __deepcopy__(self, memo):
        # Copies of a model, such as an EMA copy, share the frozen weights.
        twin = self.__class__.__new__(self.__class__)
        memo[id(self)] = twin
        twin.__dict__.update(
            {k: v if k == '_hidden' else copy.deepcopy(v, memo) for k, v in self.__dict__.items()}
        )
        return twin

    @cached_property
    def weight_hash(self) -> str:
        """sha256 of all weights and of the activation function: it identifies this CLIP."""
        return state_hash(self.model, str(self.quick_gelu))

    @property
    def quick_gelu(self) -> bool:
        """Whether the text tower uses QuickGELU, x sigmoid(1.702 x)."""
        return 'QuickGELU' in {type(m).__name__ for m in self.text_tower.modules()}

    # ------------------------------------------------------------------ sizes
    @property
    def embed_dim(self) -> int:
        """D, dimension of the feature space that images and texts share."""
        return self.text_tower.text_projection.shape[1]

    @property
    def text_width(self) -> int:
        """W, width of the text tower."""
        return self.text_tower.token_embedding.weight.shape[1]

    @property
    def text_layers(self) -> int:
        """Number of layers of the text tower."""
        return len(self.text_tower.transformer.resblocks)

    @property
    def context_length(self) -> int:
        """Maximum number of tokens of a prompt, including start and end token."""
        return self.text_tower.positional_embedding.shape[0]

    @property
    def image_size(self) -> int:
        """Side of the square input image in pixels."""
        size = self.model.visual.image_size
        return size[0] if isinstance(size, (tuple, list)) else size

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.text_tower.positional_embedding.device

    @cached_property
    def logit_scale(self) -> float:
        """s = exp(logit_scale), 100 for OpenAI's weights."""
        return round(float(self.model.logit_scale.detach().exp()), 4)

    # ------------------------------------------------------------------ text side
    def tokenize(self, texts: Sequence[str]) -> List[List[int]]:
        """Return the token ids of each text, with start and end token, not padded.

        Raises:
            ValueError: a text is longer than the context length; the message quotes it.
        """
        start, end = self.tokenizer.sot_token_id, self.tokenizer.eot_token_id
        all_ids = [[start, *self.tokenizer.encode(text), end] for text in texts]
        for text, ids in zip(texts, all_ids):
            if len(ids) > self.context_length:
                raise UserError(
                    f'the prompt {shorten(text, 60)!r} has {len(ids)} tokens, but {self.name} '
                    f'reads at most {self.context_length}; shorten the class name or the context'
                )
        return all_ids

    def class_prompts(
        self, class_names: Sequence[str], template: str, dataset_name: Optional[str] = None
    ) -> List[str]:
        """What :meth:`encode_text` takes for each class: its name in a template.

        Args:
            class_names: of C classes.
            template, dataset_name: see :func:`~fvgpt.clip.prompts.resolve_template`.

        Raises:
            UserError: a class name is too long, or the template is invalid.
        """
        prompts = fill_template(template, class_names, dataset_name)
        self.tokenize(prompts)  # reports a class name that is too long now
        return prompts

    def embed_tokens(self, ids: Sequence) -> Tensor:
        """Embed token ids.

        Args:
            ids: a list of ids, or nested lists of equal length.

        Returns:
            Embeddings (..., W), without gradient and without positional embedding.
        """
        weight = self.text_tower.token_embedding.weight
        return weight[torch.tensor(ids, dtype=torch.long, device=weight.device)]

    def embed_prompts(self, all_ids: Sequence[Sequence[int]]) -> EmbeddedPrompts:
        """Embed prompts that are given as token ids.

        Args:
            all_ids: the token ids of each prompt, as :meth:`tokenize` returns them. The embeddings
                are padded with those of token 0, as in CLIP.
        """
        length = max(map(len, all_ids))
        padded = [list(ids) + [0] * (length - len(ids)) for ids in all_ids]
        embeddings = self.embed_tokens(padded)
        eot = torch.tensor([len(ids) - 1 for ids in all_ids], device=self.device)
        return EmbeddedPrompts(embeddings, eot, tuple(map(tuple, all_ids)))

    def encode_prompts(self, prompts: EmbeddedPrompts, edits: TokenEdits = {}) -> Tensor:
        """Encode embedded prompts.

        Args:
            prompts: N prompts.
            edits: edits of the token sequence before given blocks of the text tower.

        Returns:
            Text features (N, D), not L2-normalised; differentiable with respect to the embeddings
            and to the tokens of ``edits``.
        """
        tokens = self.max_text_tokens or text_tokens_that_fit(self.text_tower, self.device)
        with self.in_precision():
            return self._to_float32(
                encode_prompts_in_chunks(self.text_tower, prompts, edits, tokens)
            )

    def in_precision(self) -> ContextManager:
        """Context in which the towers run: autocast if ``precision`` is set."""
        if self.precision is None:
            return nullcontext()
        return torch.autocast(self.device.type, PRECISIONS[self.precision])

    def _to_float32(self, features: Tensor) -> Tensor:
        return features if self.precision is None else features.float()

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Return the features (N, D) of N texts, not L2-normalised, without gradient."""
        return self.encode_prompts(self.embed_prompts(self.tokenize(texts)))

    # ------------------------------------------------------------------ image side
    def encode_image(self, images: Tensor) -> Tensor:
        """Encode images.

        Args:
            images: (B, 3, H, W), normalised with CLIP's mean and standard deviation.

        Returns:
            Image features (B, D), not L2-normalised; differentiable with respect to the images.
        """
        with self.in_precision():
            features = self.model.visual(images)
        return self._to_float32(features[0] if isinstance(features, tuple) else features)

    # ------------------------------------------------------------------ tokens of the image tower
    @property
    def has_class_token(self) -> bool:
        """Whether the image tower is open_clip's own ViT, with the class token as its output.

        Only then can prompts be placed in it. ResNets and timm models (ConvNeXt, EVA, PE, ViTamin)
        work with tuners that leave the image tower unchanged.
        """
        visual = self.model.visual
        return (
            isinstance(visual, VisionTransformer)
            and visual.pool_type == 'tok'
            and visual.attn_pool is None
        )

    def _vision_transformer(self) -> VisionTransformer:
        """The image tower, for everything that needs its tokens.

        The error must not be an AttributeError: in a property of an nn.Module that would be
        replaced by "object has no attribute".

        Raises:
            ValueError: the tower has no class token, see :attr:`has_class_token`.
        """
        if not self.has_class_token:
            raise UserError(
                f"the image tower of {self.name} is not one of open_clip's ViTs with a class "
                'token, so no prompts can be placed in it; choose one of the ViT models, e.g. '
                'ViT-B-16'
            )
        return self.model.visual

    @property
    def vision_layers(self) -> int:
        """Number of layers of the image tower.

        Raises:
            ValueError: the tower has no class token.
        """
        return len(self._vision_transformer().transformer.resblocks)

    @property
    def vision_width(self) -> int:
        """W, width of the image tower.

        Raises:
            ValueError: the tower has no class token.
        """
        return self._vision_transformer().class_embedding.shape[0]

    @property
    def image_projection(self) -> Tensor:
        """(W, D), projection of the image tower's class token into the shared feature space.

        Raises:
            ValueError: the tower has no class token.
        """
        return self._vision_transformer().proj

    def encode_image_tokens(
        self, images: Tensor, appended: Optional[Tensor] = None, edits: TokenEdits = {}
    ) -> Tensor:
        """Run the image tower with prompts in it.

        Args:
            images: (B, 3, H, W), normalised with CLIP's mean and standard deviation.
            appended: prompts (n, W) that follow the patch tokens. They pass ``ln_pre`` and get no
                positional embedding.
            edits: edits of the token sequence before given blocks.

        Returns:
            All tokens (B, T, W) after the last block and ``ln_post``, the class token first;
            differentiable with respect to the prompts.

        Raises:
            ValueError: the tower has no class token.
        """
        visual = self._vision_transformer()
        with self.in_precision():
            x = visual._embeds(images)
            if appended is not None:
                prompts = visual.ln_pre(appended).to(x.dtype)
                x = torch.cat([x, prompts.expand(x.shape[0], -1, -1)], 1)
            for index, block in enumerate(visual.transformer.resblocks):
                if index in edits:
                    x = edits[index](x)
                x = block(x)
            return self._to_float32(visual.ln_post(x))
