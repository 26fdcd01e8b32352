"""The original CLIP's text features of hand-written prompts, which several losses read."""

from typing import List

import torch.nn.functional as F
from torch import Tensor

from .base import PromptTuner


class HandWrittenText(PromptTuner):
    """Mix-in for tuners whose loss reads g^CLIP, the text features of hand-written prompts.

    A sub-class sets ``template`` and calls :meth:`encode_clip_text` when the classes change.
    """

    template: str
    """Hand-written prompt, see :func:`~fvgpt.clip.prompts.resolve_template`."""
    clip_text: Tensor
    """g^CLIP (C, D), not L2-normalised; checkpoints leave it out."""

    def hand_written_prompts(self, class_names: List[str]) -> List[str]:
        """One prompt per class."""
        return self.clip.class_prompts(class_names, self.template, self.dataset_name)

    def encode_clip_text(self, class_names: List[str]) -> None:
        """Compute ``clip_text`` of :meth:`hand_written_prompts`."""
        self.set_clip_text(self.clip.encode_text(self.hand_written_prompts(class_names)))

    def set_clip_text(self, features: Tensor) -> None:
        """Set ``clip_text`` to features (C, D)."""
        self.register_buffer('clip_text', features, persistent=False)


def cosine_distance(one: Tensor, other: Tensor) -> Tensor:
    """1 - mean_n cos(one_n, other_n) of features (N, D), a scalar."""
    return 1 - F.cosine_similarity(one, other, dim=-1, eps=1e-7).mean()
