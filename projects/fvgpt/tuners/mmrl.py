"""MMRL: multi-modal representation learning (Guo and Gu, CVPR 2025)."""

from typing import Dict, List, Optional, Sequence, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..clip.frozen_clip import FrozenCLIP
from ..clip.prompts import CUSTOM
from ..clip.token_edits import TokenEdits, insert_tokens, replace_tokens
from ..io.errors import UserError
from ..names import Branch
from ..registry import MODELS
from .clip_text import HandWrittenText, cosine_distance
from .deep_prompts import check_depth
from .features import Features

# The original's weight of the regularisation per data set; FVG-PT uses 1 everywhere
ORIGINAL_REG_WEIGHT = dict(
    StanfordCars=7.0,
    FGVCAircraft=6.0,
    SUN397=6.0,
    DescribableTextures=6.0,
    Food101=5.0,
    OxfordFlowers=4.0,
    UCF101=3.0,
    ImageNet=0.5,
    Caltech101=0.5,
    OxfordPets=0.2,
    EuroSAT=0.01,
)


@MODELS.register_module()
class MMRL(HandWrittenText):
    """Shared representation tokens, mapped into the upper layers of both towers (Guo & Gu, CVPR
    2025).

    The tokens are inserted after the first token before layer ``layers[0]`` and replaced before
    each further layer of ``layers``. The image side has a second feature f_r, the mean of its
    representation tokens through a trained projection. With z the class token's logits and z_r
    those of f_r, classes that were trained on use alpha z + (1 - alpha) z_r, new ones z.

    L = alpha CE(z) + (1 - alpha) CE(z_r) + lam (1 - mean cos(f, f0)) + lam (1 - mean_c cos(g, g0)).

    Args:
        clip, data_preprocessor: see :class:`~fvgpt.tuners.base.PromptTuner`.
        layers: layers with tokens, counted from 1, consecutive.
        n_tokens: number of tokens.
        rep_dim: dimension of the shared tokens.
        alpha: share of the class token.
        reg_weight: lam, or a data set's name for the original's value.
        template: the hand-written prompt, see :func:`~fvgpt.clip.prompts.resolve_template`.

    Raises:
        UserError: the layers do not exist or are not consecutive, an unknown data set, or the image
            tower has no class token.
    """

    image_tower_is_clip = False
    logits_are_cosine = False
    needs_original = True

    def __init__(
        self,
        clip: Union[FrozenCLIP, dict],
        layers: Sequence[int] = (6, 7, 8, 9, 10, 11, 12),
        n_tokens: int = 5,
        rep_dim: int = 512,
        alpha: float = 0.7,
        reg_weight: Union[float, str] = 1.0,
        template: str = CUSTOM,
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(clip, data_preprocessor)
        layers = list(layers)
        check_depth(max(layers), min(self.clip.text_layers, self.clip.vision_layers), 'layers')
        if layers != list(range(layers[0], layers[0] + len(layers))) or layers[0] < 1:
            raise UserError(f'layers must be consecutive and counted from 1, not {layers}')
        if isinstance(reg_weight, str):
            if reg_weight not in ORIGINAL_REG_WEIGHT:
                raise UserError(
                    f'reg_weight={reg_weight!r} is not a data set of '
                    f'{", ".join(ORIGINAL_REG_WEIGHT)}'
                )
            reg_weight = ORIGINAL_REG_WEIGHT[reg_weight]
        self.layers, self.n_tokens, self.alpha = layers, n_tokens, alpha
        self.reg_weight, self.template = reg_weight, template
        self.tokens = nn.Parameter(nn.init.normal_(torch.empty(n_tokens, rep_dim), std=0.02))
        self.to_text = self._maps(rep_dim, self.clip.text_width)
        self.to_vision = self._maps(rep_dim, self.clip.vision_width)
        width, dim = self.clip.image_projection.shape
        projection = nn.init.normal_(torch.empty(width, dim), std=width**-0.5)
        self.rep_projection = nn.Parameter(projection)

    def _maps(self, rep_dim: int, width: int) -> nn.ModuleList:
        maps = nn.ModuleList(nn.Linear(rep_dim, width) for _ in self.layers)
        for other in maps[1:]:  # all start with the same values
            other.load_state_dict(maps[0].state_dict())
        return maps

    def _build_classes(self, class_names: List[str]) -> None:
        self.cache_prompts(self.hand_written_prompts(class_names))
        self.set_clip_text(self.clip.encode_prompts(self.cached_prompts()))

    def _edits(self, maps: nn.ModuleList) -> TokenEdits:
        first, *others = (tokens_of(self.tokens) for tokens_of in maps)
        edits = {self.layers[0] - 1: insert_tokens(first)}
        for layer, tokens in zip(self.layers[1:], others):
            edits[layer - 1] = replace_tokens(tokens)
        return edits

    def encode_text(self) -> Features:
        """g (C, D), with the mapped tokens in ``layers``."""
        edits = self._edits(self.to_text)
        return dict(feature=self.clip.encode_prompts(self.cached_prompts(), edits))

    def encode_image(self, images: Tensor) -> Features:
        """f (B, D) of the class token, and ``rep``, f_r (B, D) of the representation tokens."""
        tokens = self.clip.encode_image_tokens(images, edits=self._edits(self.to_vision))
        return dict(
            feature=tokens[:, 0] @ self.clip.image_projection,
            rep=tokens[:, 1 : 1 + self.n_tokens].mean(1) @ self.rep_projection,
        )

    def logits(self, image: Features, text: Features, branch: str = Branch.BASE) -> Tensor:
        """alpha z + (1 - alpha) z_r, (B, C), for classes that were trained on; z for new ones."""
        z = super().logits(image, text)
        if branch == Branch.NEW:
            return z
        z_rep = super().logits(dict(feature=image['rep']), text)
        fused = self.alpha * z + (1 - self.alpha) * z_rep
        if branch == Branch.BASE:
            return fused
        return torch.where(self.trained_columns(z.device) >= 0, fused, z)

    def tuning_loss(
        self, image: Features, text: Features, labels: Tensor, original: Optional[Tensor] = None
    ) -> Dict[str, Tensor]:
        """The four terms of L, weighted."""
        assert original is not None, 'needs_original is set'
        z, z_rep = super().logits(image, text), super().logits(dict(feature=image['rep']), text)
        return dict(
            loss_ce=self.alpha * F.cross_entropy(z, labels),
            loss_rep=(1 - self.alpha) * F.cross_entropy(z_rep, labels),
            loss_image=self.reg_weight * cosine_distance(image['feature'], original),
            loss_text=self.reg_weight * cosine_distance(text['feature'], self.clip_text),
        )
