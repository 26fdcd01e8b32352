"""The contract between a prompt tuner and the rest of the project."""
from abc import abstractmethod
from typing import Dict, List, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from mmpretrain.structures import DataSample
from torch import Tensor

from ..classifier import CLIPClassifier, gt_labels
from ..clip.frozen_clip import FrozenCLIP
from ..clip.prompt_encoder import EmbeddedPrompts
from ..registry import MODELS

Features = Dict[str, Tensor]
"""Named tensors with one row an image or a class. ``feature`` (N, D) is CLIP's final feature, not L2-normalised; a tuner
adds what its own logits rule needs."""


class PromptTuner(CLIPClassifier):
    """A frozen CLIP with trained prompts. One method is one sub-class in one file.

    A sub-class gives :meth:`encode_text`, and overrides :meth:`encode_image`, :meth:`logits`, :meth:`tuning_loss` and
    ``image_tower_is_clip`` where its method differs from the defaults here. FVG-PT knows a tuner only by these.

    Args:
        clip: a :class:`~fvgpt.clip.FrozenCLIP` or its config.
        class_names, data_preprocessor: see :class:`~fvgpt.classifier.CLIPClassifier`.
    """

    source = 'tuner'
    image_tower_is_clip = True
    """Whether :meth:`encode_image` is the untouched CLIP image tower, so that features are shared and cacheable."""

    def __init__(self, clip: Union[FrozenCLIP, dict], class_names: Optional[Sequence[str]] = None,
                 data_preprocessor: Optional[dict] = None):
        super().__init__(data_preprocessor=data_preprocessor)
        self.clip: FrozenCLIP = MODELS.build(clip) if isinstance(clip, dict) else clip
        self._text_cache: Dict[Tuple, Features] = {}
        self._text_version: Tuple = ()
        self._initial_class_names = class_names

    def init_classes(self) -> None:
        """Take the class names given to the constructor; sub-classes call it at the end of theirs."""
        if self._initial_class_names is not None:
            self.set_class_names(self._initial_class_names)

    def keep_prompts(self, texts: List[str]) -> None:
        """Embed one prompt text a class and keep the result as :meth:`kept_prompts`, outside checkpoints."""
        prompts = self.clip.embed_prompts(self.clip.tokenize(texts))
        self.register_buffer('_embeddings', prompts.embeddings, persistent=False)
        self.register_buffer('_eot', prompts.eot, persistent=False)
        self._shared = prompts.shared

    def kept_prompts(self) -> EmbeddedPrompts:
        """The prompts of all classes as they were embedded."""
        return EmbeddedPrompts(self._embeddings, self._eot, self._shared)

    @abstractmethod
    def encode_text(self) -> Features:
        """Text features of the current classes, rows (C, ...), differentiable in the tuner's parameters."""

    def encode_image(self, images: Tensor) -> Features:
        """Image features of normalised images (B, 3, H, W), rows (B, ...)."""
        return dict(feature=self.clip.encode_image(images))

    def untouched_feature(self, images: Tensor, image: Features) -> Tensor:
        """CLIP's own feature (B, D) of images whose :meth:`encode_image` is ``image``, without a second pass if it can be."""
        return image['feature'] if self.image_tower_is_clip else self.clip.encode_image(images)

    def logits(self, image: Features, text: Features, branch: str = 'base') -> Tensor:
        """Logits (B, C): s cos(f, g), in float32. A method that treats classes it was trained on unlike others goes by
        ``branch``, in the open world class by class (:meth:`~fvgpt.classifier.CLIPClassifier.trained_columns`)."""
        f, g = (F.normalize(side['feature'].float(), dim=-1) for side in (image, text))
        return self.clip.logit_scale * f @ g.T

    def tuning_loss(self, image: Features, text: Features, images: Tensor, labels: Tensor) -> Dict[str, Tensor]:
        """Loss terms of tuning: cross entropy of the logits."""
        return dict(loss=F.cross_entropy(self.logits(image, text), labels))

    def loss(self, inputs: Tensor, data_samples: List[DataSample]) -> Dict[str, Tensor]:
        return self.tuning_loss(self.encode_image(inputs), self.encode_text(), inputs,
                                gt_labels(data_samples, inputs.device))

    def logits_by_source(self, images: Tensor) -> Dict[str, Tensor]:
        return {self.source: self.logits(self.encode_image(images), self.cached_text(), self.branch)}

    @torch.no_grad()
    def cached_text(self) -> Features:
        """:meth:`encode_text` without gradient, computed once per weight version and class list."""
        # In-place changes (optimizer steps, loading) raise a tensor's version; moving it changes device or dtype.
        version = tuple((p._version, p.data_ptr(), p.dtype, p.device) for p in self.parameters()) + (self.clip.device, )
        if version != self._text_version:
            self._text_cache.clear()
            self._text_version = version
        key = (self.dataset_name, *self.class_names)
        if key not in self._text_cache:
            self._text_cache[key] = self.encode_text()
        return self._text_cache[key]
