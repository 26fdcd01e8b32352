"""The contract between a prompt tuner and the rest of the project."""

from abc import abstractmethod
from typing import Dict, List, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from mmpretrain.structures import DataSample
from torch import Tensor

from ..clip.frozen_clip import FrozenCLIP
from ..clip.prompt_encoder import EmbeddedPrompts
from ..clip.state_hash import state_hash
from ..registry import MODELS
from .classifier import CLIPClassifier, Features, Inputs, gt_labels

__all__ = ['Features', 'Inputs', 'PromptTuner']


class PromptTuner(CLIPClassifier):
    """A frozen CLIP with trained prompts. One method is one sub-class in one file.

    A sub-class gives :meth:`encode_text`, and overrides :meth:`adapt_image`, :meth:`logits`, :meth:`tuning_loss` where its
    method differs from the defaults here; one with an image tower of its own also :meth:`encode_image` and
    ``image_tower_is_clip``. FVG-PT knows a tuner only by these.

    Args:
        clip: a :class:`~fvgpt.clip.FrozenCLIP` or its config.
        class_names, data_preprocessor: see :class:`~fvgpt.tuners.classifier.CLIPClassifier`.
    """

    source = 'tuner'
    image_tower_is_clip = True
    """Whether :meth:`encode_image` is :meth:`adapt_image` on the untouched CLIP image tower, whose features are then shared
    and cacheable."""

    def __init__(
        self,
        clip: Union[FrozenCLIP, dict],
        class_names: Optional[Sequence[str]] = None,
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(data_preprocessor=data_preprocessor)
        self.clip: FrozenCLIP = MODELS.build(clip) if isinstance(clip, dict) else clip
        self._text_cache: Dict[Tuple, Features] = {}
        self._text_version: Tuple = ()
        self._initial_class_names = class_names

    def init_classes(self) -> None:
        """Take the class names given to the constructor; sub-classes call it at the end of theirs."""
        if self._initial_class_names is not None:
            self.set_class_names(self._initial_class_names)

    def cache_prompts(self, texts: List[str]) -> None:
        """Embed one prompt text a class and keep the result as :meth:`cached_prompts`, outside checkpoints."""
        prompts = self.clip.embed_prompts(self.clip.tokenize(texts))
        self.register_buffer('_embeddings', prompts.embeddings, persistent=False)
        self.register_buffer('_eot', prompts.eot, persistent=False)
        self._prefix_ids = prompts.prefix_ids

    def cached_prompts(self) -> EmbeddedPrompts:
        """The prompts of all classes as they were embedded."""
        return EmbeddedPrompts(self._embeddings, self._eot, self._prefix_ids)

    @abstractmethod
    def encode_text(self) -> Features:
        """Text features of the current classes, rows (C, ...), differentiable in the tuner's parameters."""

    def encode_image(self, images: Tensor) -> Features:
        """Image features of normalised images (B, 3, H, W), rows (B, ...)."""
        return self.adapt_image(self.clip.encode_image(images))

    def adapt_image(self, clip_feature: Tensor) -> Features:
        """Image features from CLIP's own feature (B, D), for methods without an image tower of their own."""
        return dict(feature=clip_feature)

    @torch.no_grad()
    def extract_feat(self, images: Tensor, untouched: bool = True) -> Features:
        """What the image towers say of images (B, 3, H, W) once this tuner is trained, rows (B, ...).

        ``clip`` is CLIP's own feature (with a tower of its own, left out unless ``untouched``); all else is what
        :meth:`view` needs.
        """
        if self.image_tower_is_clip:
            return dict(clip=self.clip.encode_image(images))
        return dict(
            self.encode_image(images),
            **(dict(clip=self.clip.encode_image(images)) if untouched else {}),
        )

    def view(self, frozen: Features) -> Features:
        """:meth:`encode_image` of the images whose :meth:`extract_feat` is ``frozen``."""
        return self.adapt_image(frozen['clip']) if self.image_tower_is_clip else frozen

    def logits(self, image: Features, text: Features, branch: str = 'base') -> Tensor:
        """Logits (B, C): s cos(f, g), in float32. A method that treats classes it was trained on unlike others goes by
        ``branch``, in the open world class by class (:meth:`~fvgpt.tuners.classifier.CLIPClassifier.trained_columns`)."""
        f, g = (F.normalize(side['feature'].float(), dim=-1) for side in (image, text))
        return self.clip.logit_scale * f @ g.T

    def tuning_loss(
        self, image: Features, text: Features, images: Inputs, labels: Tensor
    ) -> Dict[str, Tensor]:
        """Loss terms of tuning, of a batch with the labels (B,): cross entropy of the logits.

        Args:
            image, text: features, rows (B, ...) and (C, ...). images: that ``image`` is of, (B, 3, H, W); with
                ``image_tower_is_clip`` it may be their :meth:`extract_feat`.
            labels: (B,).
        """
        return dict(loss=F.cross_entropy(self.logits(image, text), labels))

    def loss(self, inputs: Inputs, data_samples: List[DataSample]) -> Dict[str, Tensor]:
        """:meth:`tuning_loss` of a batch."""
        image = self.view(inputs) if isinstance(inputs, dict) else self.encode_image(inputs)
        return self.tuning_loss(
            image, self.encode_text(), inputs, gt_labels(data_samples, image['feature'].device)
        )

    def logits_by_source(self, inputs: Inputs) -> Dict[str, Tensor]:
        """The logits (B, C) of the branch, under the key ``source``."""
        image = self.view(inputs) if isinstance(inputs, dict) else self.encode_image(inputs)
        return {self.source: self.logits(image, self.cached_text(), self.branch)}

    def cache_key(self, training: bool) -> Optional[str]:
        """CLIP's weights, and with an image tower of its own the trained parameters too, which change in training."""
        if self.image_tower_is_clip:
            return self.clip.weight_hash
        return (
            None
            if training
            else f'{self.clip.weight_hash} {type(self).__name__} {state_hash(self)}'
        )

    @torch.no_grad()
    def cached_text(self) -> Features:
        """:meth:`encode_text` without gradient, computed once per weight version and class list."""
        # In-place changes (optimizer steps, loading) raise a tensor's version; moving it changes device or dtype.
        version = tuple(
            (p._version, p.data_ptr(), p.dtype, p.device) for p in self.parameters()
        ) + (self.clip.device,)
        if version != self._text_version:
            self._text_cache.clear()
            self._text_version = version
        key = (self.dataset_name, *self.class_names)
        if key not in self._text_cache:
            self._text_cache[key] = self.encode_text()
        return self._text_cache[key]
