"""MMRL: multi-modal representation learning (Guo and Gu, CVPR 2025)."""

from typing import Dict, List, Optional, Sequence, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..clip.frozen_clip import FrozenCLIP
from ..clip.prompts import CUSTOM, fill_template
from ..clip.token_edits import TokenEdits, insert_tokens, replace_tokens
from ..io.errors import UserError
from ..registry import MODELS
from .base import Features, Inputs, PromptTuner
from .ivlp import check_depth
from .kgcoop import cosine_distance

# The original's weight of the regularisation by data set; FVG-PT uses 1 everywhere
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
class MMRL(PromptTuner):
    """Shared representation tokens, mapped into the upper layers of both towers (Guo & Gu, CVPR 2025).

    The tokens enter after the first token before layer ``layers[0]`` and are replaced before each further layer of
    ``layers``. The image side has a second feature f_r, the mean of its representation tokens through a trained
    projection. Classes that were trained on use alpha z + (1 - alpha) z_r, new ones z, the class token's logits.

    L = alpha CE(z) + (1 - alpha) CE(z_r) + lam (1 - mean cos(f, f0)) + lam (1 - mean_c cos(g, g0)).

    Args:
        clip, class_names, data_preprocessor: see :class:`~fvgpt.tuners.base.PromptTuner`.
        layers: layers with tokens, counted from 1, consecutive.
        n_tokens: number of tokens.
        rep_dim: dimension of the shared tokens.
        alpha: share of the class token.
        reg_weight: lam, or a data set's name for the original's value.
        template: the hand-written prompt, see :func:`~fvgpt.clip.resolve_template`.
    """

    image_tower_is_clip = False

    def __init__(
        self,
        clip: Union[FrozenCLIP, dict],
        layers: Sequence[int] = (6, 7, 8, 9, 10, 11, 12),
        n_tokens: int = 5,
        rep_dim: int = 512,
        alpha: float = 0.7,
        reg_weight: Union[float, str] = 1.0,
        template: str = CUSTOM,
        class_names: Optional[Sequence[str]] = None,
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(clip, class_names, data_preprocessor)
        layers = list(layers)
        check_depth(max(layers), min(self.clip.text_layers, self.clip.vision_layers), 'layers')
        if layers != list(range(layers[0], layers[0] + len(layers))) or layers[0] < 1:
            raise UserError(f'layers must be consecutive and counted from 1, not {layers}')
        if isinstance(reg_weight, str):
            if reg_weight not in ORIGINAL_REG_WEIGHT:
                raise UserError(
                    f'reg_weight={reg_weight!r} is no data set of {", ".join(ORIGINAL_REG_WEIGHT)}'
                )
            reg_weight = ORIGINAL_REG_WEIGHT[reg_weight]
        self.layers, self.n_tokens, self.alpha, self.reg_weight = (
            layers,
            n_tokens,
            alpha,
            reg_weight,
        )
        self.template = template
        self.tokens = nn.Parameter(nn.init.normal_(torch.empty(n_tokens, rep_dim), std=0.02))
        self.to_text = self._maps(rep_dim, self.clip.text_width)
        self.to_vision = self._maps(rep_dim, self.clip.vision_width)
        width, dim = self.clip.image_projection.shape
        self.rep_projection = nn.Parameter(
            nn.init.normal_(torch.empty(width, dim), std=width**-0.5)
        )
        self.init_classes()

    def _maps(self, rep_dim: int, width: int) -> nn.ModuleList:
        maps = nn.ModuleList(nn.Linear(rep_dim, width) for _ in self.layers)
        for other in maps[1:]:  # clones of one start
            other.load_state_dict(maps[0].state_dict())
        return maps

    def _build_classes(self, class_names: List[str]) -> None:
        self.cache_prompts(fill_template(self.template, class_names, self.dataset_name))
        self.register_buffer(
            '_clip_text', self.clip.encode_prompts(self.cached_prompts()), persistent=False
        )

    def _edits(self, maps: nn.ModuleList) -> TokenEdits:
        first, *others = (tokens_of(self.tokens) for tokens_of in maps)
        edits = {self.layers[0] - 1: insert_tokens(first)}
        edits.update(
            {layer - 1: replace_tokens(tokens) for layer, tokens in zip(self.layers[1:], others)}
        )
        return edits

    def encode_text(self) -> Features:
        """g (C, D), with the mapped tokens in ``layers``."""
        return dict(
            feature=self.clip.encode_prompts(self.cached_prompts(), self._edits(self.to_text))
        )

    def encode_image(self, images: Tensor) -> Features:
        """f (B, D), of the class token, and ``rep``, f_r (B, D), of the representation tokens."""
        tokens = self.clip.encode_image_tokens(images, edits=self._edits(self.to_vision))
        return dict(
            feature=tokens[:, 0] @ self.clip.image_projection,
            rep=tokens[:, 1 : 1 + self.n_tokens].mean(1) @ self.rep_projection,
        )

    def logits(self, image: Features, text: Features, branch: str = 'base') -> Tensor:
        """alpha z + (1 - alpha) z_r, (B, C), for classes that were trained on; z for new ones."""
        z = super().logits(image, text)
        if branch == 'new':
            return z
        fused = self.alpha * z + (1 - self.alpha) * super().logits(dict(feature=image['rep']), text)
        return (
            fused
            if branch == 'base'
            else torch.where(self.trained_columns(z.device) >= 0, fused, z)
        )

    def tuning_loss(
        self, image: Features, text: Features, images: Inputs, labels: Tensor
    ) -> Dict[str, Tensor]:
        """The four terms of L, weighted."""
        assert isinstance(images, Tensor), (
            'a trained image tower needs images, not what is kept of them'
        )
        z, z_rep = super().logits(image, text), super().logits(dict(feature=image['rep']), text)
        return dict(
            loss_ce=self.alpha * F.cross_entropy(z, labels),
            loss_rep=(1 - self.alpha) * F.cross_entropy(z_rep, labels),
            loss_image=self.reg_weight
            * cosine_distance(image['feature'], self.clip.encode_image(images)),
            loss_text=self.reg_weight * cosine_distance(text['feature'], self._clip_text),
        )
