"""PromptSRC: self-regulating prompts (Khattak et al., ICCV 2023)."""

import math
from typing import Any, Dict, List, Optional, Union

import torch
import torch.nn.functional as F
from mmengine.hooks import Hook
from open_clip import OPENAI_IMAGENET_TEMPLATES
from torch import Tensor

from ..clip.frozen_clip import FrozenCLIP
from ..datasets.class_names import readable
from ..registry import HOOKS, MODELS
from .classifier import unwrapped
from .clip_text import HandWrittenText
from .features import Features
from .ivlp import IVLP

# 60 of OpenAI's 80 templates, as in the original: "a photo of a {}." first, the others in order
TEMPLATES = [OPENAI_IMAGENET_TEMPLATES[i] for i in (39, *range(39), *range(40, 60))]


@MODELS.register_module()
class PromptSRC(HandWrittenText, IVLP):
    """IVLP regularised towards the original CLIP by three terms (Khattak et al., ICCV 2023).

    L = CE(z, y) + w_t mean|g - g0| + w_v mean|f - f0| + sum p0 (ln p0 - ln p) / (B C), with f0 the
    original CLIP's feature of the same image and g0 the mean of its text features over 60
    templates. The method also averages the prompts over epochs:
    :class:`GaussianPromptAggregationHook`.

    Args:
        clip, n_ctx, n_ctx_vision, depth_text, depth_vision, ctx_init, data_preprocessor: see
            :class:`~fvgpt.tuners.ivlp.IVLP`.
        text_weight: w_t.
        image_weight: w_v.
    """

    needs_original = True

    def __init__(
        self,
        clip: Union[FrozenCLIP, dict],
        n_ctx: int = 4,
        n_ctx_vision: int = 4,
        depth_text: int = 9,
        depth_vision: int = 9,
        ctx_init: Optional[str] = 'a photo of a',
        text_weight: float = 25.0,
        image_weight: float = 10.0,
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(
            clip, n_ctx, n_ctx_vision, depth_text, depth_vision, ctx_init, data_preprocessor
        )
        self.text_weight, self.image_weight = text_weight, image_weight

    def _build_classes(self, class_names: List[str]) -> None:
        super()._build_classes(class_names)
        names = [readable(name) for name in class_names]
        total = torch.zeros(())
        for fill in TEMPLATES:
            total = total + self.clip.encode_text([fill(name) for name in names])
        self.set_clip_text(total / len(TEMPLATES))  # the mean before normalisation

    def tuning_loss(
        self, image: Features, text: Features, labels: Tensor, original: Optional[Tensor] = None
    ) -> Dict[str, Tensor]:
        """``loss_ce``, ``loss_text``, ``loss_image`` and ``loss_kl`` of a batch, weighted."""
        assert original is not None, 'needs_original is set'
        z = self.logits(image, text)
        z0 = self.logits(dict(feature=original), dict(feature=self.clip_text))
        f, f0 = (F.normalize(x.float(), dim=-1) for x in (image['feature'], original))
        g, g0 = (F.normalize(x.float(), dim=-1) for x in (text['feature'], self.clip_text))
        kl = F.kl_div(z.log_softmax(-1), z0.log_softmax(-1), reduction='sum', log_target=True)
        return dict(
            loss_ce=F.cross_entropy(z, labels),
            loss_text=self.text_weight * F.l1_loss(g, g0),
            loss_image=self.image_weight * F.l1_loss(f, f0),
            loss_kl=kl / z.numel(),
        )


_KEY = 'prompt_aggregation'  # of the running sum in a checkpoint


def gaussian_weights(epochs: int, mean: float, std: float) -> List[float]:
    """Weights w_t of the epochs t = 1 .. E, w_t ~ exp(-(t - mean)^2 / (2 std^2)), their sum 1.

    Args:
        epochs: E.
        mean, std: in epochs.
    """
    # Relative to the largest one: with a mean far beyond the last epoch all would underflow to 0
    exponents = [-((t - mean) ** 2) / (2 * std**2) for t in range(1, epochs + 1)]
    values = [math.exp(e - max(exponents)) for e in exponents]
    return [value / sum(values) for value in values]


@HOOKS.register_module()
class GaussianPromptAggregationHook(Hook):
    """Gaussian-weighted mean of the trained parameters over epochs (Khattak et al., ICCV 2023).

    After the last epoch the mean replaces the parameters. Only trained parameters are averaged (the
    released code averages the whole state dict). Checkpoints contain the running sum, so a resumed
    run ends with the same parameters.

    Args:
        mean: epoch with the largest weight, counted from 1.
        std: standard deviation, in epochs.
    """

    priority = 'LOW'  # before CheckpointHook, which is VERY_LOW

    def __init__(self, mean: float = 15, std: float = 1):
        self.mean, self.std = mean, std
        self.total: Dict[str, Tensor] = {}

    def _parameters(self, runner) -> Dict[str, Tensor]:
        return {
            name: p for name, p in unwrapped(runner.model).named_parameters() if p.requires_grad
        }

    def after_train_epoch(self, runner) -> None:
        """Add w_t times the parameters to the sum; after the last epoch, set them to the sum."""
        weight = gaussian_weights(runner.max_epochs, self.mean, self.std)[runner.epoch]
        for name, parameter in self._parameters(runner).items():
            share = weight * parameter.detach().double().cpu()
            self.total[name] = self.total[name] + share if name in self.total else share
        if runner.epoch + 1 == runner.max_epochs:
            with torch.no_grad():
                for name, parameter in self._parameters(runner).items():
                    parameter.copy_(self.total[name])

    def before_save_checkpoint(self, runner, checkpoint: Dict[str, Any]) -> None:
        """Write the sum into the checkpoint."""
        checkpoint[_KEY] = dict(self.total)

    def after_load_checkpoint(self, runner, checkpoint: Dict[str, Any]) -> None:
        """In a resumed run, continue from the checkpoint's sum."""
        if runner._resume:
            self.total = {name: value.cpu() for name, value in checkpoint.get(_KEY, {}).items()}
