"""The contract between a prompt tuner and the rest of the project."""

from abc import abstractmethod
from copy import deepcopy
from typing import Dict, List, Optional, Tuple, Union

import torch
import torch.nn.functional as F
from mmpretrain.structures import DataSample
from torch import Tensor

from ..clip.frozen_clip import FrozenCLIP
from ..clip.prompt_encoder import EmbeddedPrompts
from ..clip.state_hash import state_hash
from ..names import Branch, Source
from ..registry import MODELS
from .classifier import FrozenTowerClassifier, Inputs, gt_labels
from .features import Features, FrozenFeatures, ViewFeatures


class PromptTuner(FrozenTowerClassifier):
    """A frozen CLIP with trained prompts. One method is one sub-class in one file.

    A sub-class defines ``_build_classes(class_names)`` and :meth:`encode_text`. It overrides
    :meth:`adapt_image`, :meth:`logits` or :meth:`tuning_loss` if its method differs from the
    defaults here; if it changes the image tower, it sets ``image_tower_is_clip`` to False and
    overrides :meth:`encode_image`. FVG-PT uses a tuner only through these.

    The life of a tuner: it is built without classes. :meth:`set_class_names` calls
    ``_build_classes``, with ``class_names`` already set. ``set_trained_classes`` follows at the
    first epoch of training, or comes from a checkpoint. Under FVG-PT a tuner's own ``branch`` is
    always ``base``: :meth:`logits` reads its argument. A parameter with one row per class (as
    Tip-Adapter's cache) takes their number as an argument, and finds the rows of the current
    classes by ``trained_columns``.

    Args:
        clip: a :class:`~fvgpt.clip.FrozenCLIP` or its config.
        data_preprocessor: see :class:`~fvgpt.tuners.classifier.CLIPClassifier`.
    """

    source = Source.TUNER
    image_tower_is_clip = True
    """Whether :meth:`encode_image` is :meth:`adapt_image` of the original CLIP's feature, which is
    then shared with zero-shot CLIP and can be cached."""
    logits_are_cosine = True
    """Whether :meth:`logits` is s cos(f, g) for every branch."""
    text_depends_on_image = False
    """Whether :meth:`logits` encodes the classes again for each image."""
    needs_original = False
    """Whether :meth:`tuning_loss` reads the original CLIP's image features."""

    def __init_subclass__(cls, **kwargs) -> None:
        super().__init_subclass__(**kwargs)
        if 'logits' in cls.__dict__ and 'logits_are_cosine' not in cls.__dict__:
            raise TypeError(
                f'{cls.__name__} overrides logits(): set logits_are_cosine = False in its class '
                'body (True if it still is s cos(f, g))'
            )

    def __init__(self, clip: Union[FrozenCLIP, dict], data_preprocessor: Optional[dict] = None):
        super().__init__(data_preprocessor=data_preprocessor)
        self.clip: FrozenCLIP = MODELS.build(clip) if isinstance(clip, dict) else clip
        self._text_cache: Dict[Tuple, Features] = {}
        self._text_version: Tuple = ()

    training_images_key: Optional[str] = None
    """Argument that is the number of training images, if the method has one."""

    def copy_for(self, training_images: int) -> 'PromptTuner':
        """A tuner of the same settings and CLIP, to load the parameters of another training into.

        Args:
            training_images: number of images of that training; methods whose parameters depend on
                it override this.
        """
        return deepcopy(self, {id(self.clip): self.clip})

    # ------------------------------------------------------------------ text side
    def cache_prompts(self, texts: List[str]) -> None:
        """Embed one prompt text per class as :meth:`cached_prompts`; checkpoints leave it out."""
        prompts = self.clip.embed_prompts(self.clip.tokenize(texts))
        self.register_buffer('_embeddings', prompts.embeddings, persistent=False)
        self.register_buffer('_eot', prompts.eot, persistent=False)
        self._prefix_ids = prompts.prefix_ids

    def cached_prompts(self) -> EmbeddedPrompts:
        """The prompts of all classes as they were embedded."""
        return EmbeddedPrompts(self._embeddings, self._eot, self._prefix_ids)

    @abstractmethod
    def encode_text(self) -> Features:
        """Text features of the current classes, rows (C, ...), differentiable in the tuner's
        parameters.

        It runs in every training step: what is constant belongs in ``_build_classes``.
        """

    @torch.no_grad()
    def cached_text(self) -> Features:
        """:meth:`encode_text` without gradient, computed once per weights and class list."""
        # In-place changes (optimizer steps, loading) raise a tensor's version; moving it changes
        # its device or dtype.
        version = tuple(
            (p._version, p.data_ptr(), p.dtype, p.device) for p in self.parameters()
        ) + (self.clip.device,)
        if version != self._text_version:
            self._text_cache.clear()
            self._text_version = version
        key = (self.dataset_name, *self.class_names, None, *self.trained_class_names)
        if key not in self._text_cache:
            self._text_cache[key] = self.encode_text()
        return self._text_cache[key]

    # ------------------------------------------------------------------ image side
    def encode_image(self, images: Tensor) -> Features:
        """Image features of normalised images (B, 3, H, W), rows (B, ...)."""
        return self.adapt_image(self.clip.encode_image(images))

    def adapt_image(self, clip_feature: Tensor) -> Features:
        """Image features of the original CLIP's feature (B, D), for methods that leave the image
        tower as it is."""
        return dict(feature=clip_feature)

    def extract_view(self, images: Tensor, original: bool = True) -> ViewFeatures:
        """What the image towers give for normalised images (B, 3, H, W).

        The tuner's own tower runs first, then the original CLIP's if ``original``.
        """
        if self.image_tower_is_clip:
            return ViewFeatures(self.clip.encode_image(images))
        tuned = self.encode_image(images)
        return ViewFeatures(self.clip.encode_image(images) if original else None, tuned)

    def extract_feat(
        self, images: Tensor, masks: Optional[Tensor] = None, original: bool = True
    ) -> FrozenFeatures:
        """Features of the full view; a tuner ignores the masks and the foreground."""
        return FrozenFeatures(self.extract_view(images, original))

    def extract_for(
        self, images: Tensor, data_samples: Optional[List[DataSample]]
    ) -> FrozenFeatures:
        """The original CLIP's features are extracted for training, if the loss reads them."""
        training = data_samples is not None
        return self.extract_feat(images, original=training and self.needs_original)

    def features_of(self, view: ViewFeatures) -> Features:
        """The image features that :meth:`logits` takes, rows (B, ...)."""
        if not self.image_tower_is_clip:
            return view.tuned
        assert view.clip is not None, 'extract_view() gives it to every such tuner'
        return self.adapt_image(view.clip)

    def cache_key(self, training: bool) -> Optional[str]:
        """The original CLIP's weights; if the tuner has changed the image tower, its parameters
        too, and None in training."""
        if self.image_tower_is_clip:
            return self.clip.weight_hash
        if training:
            return None
        return f'{self.clip.weight_hash} {type(self).__name__} {state_hash(self)}'

    # ------------------------------------------------------------------ logits and loss
    def logits(self, image: Features, text: Features, branch: str = Branch.BASE) -> Tensor:
        """Logits s cos(f, g), (B, C), in float32.

        A method that treats classes that were trained on differently from new ones follows
        ``branch``; in the open branch class by class (``trained_columns``).
        """
        f, g = (F.normalize(side['feature'].float(), dim=-1) for side in (image, text))
        return self.clip.logit_scale * f @ g.T

    def tuning_loss(
        self, image: Features, text: Features, labels: Tensor, original: Optional[Tensor] = None
    ) -> Dict[str, Tensor]:
        """Loss terms of a batch: by default the cross entropy of the logits.

        Args:
            image, text: features, rows (B, ...) and (C, ...).
            labels: (B,).
            original: the original CLIP's image features (B, D); given if ``needs_original``.
        """
        return dict(loss=F.cross_entropy(self.logits(image, text), labels))

    def loss(self, inputs: Inputs, data_samples: List[DataSample]) -> Dict[str, Tensor]:
        """:meth:`tuning_loss` of a batch of images (B, 3, H, W) or their frozen features."""
        view = self.frozen(inputs, data_samples).full
        image = self.features_of(view)
        labels = gt_labels(data_samples, image['feature'].device)
        return self.tuning_loss(image, self.encode_text(), labels, view.clip)

    def logits_by_source(self, inputs: Inputs) -> Dict[str, Tensor]:
        """The logits (B, C) of the current branch, under the key ``self.source``."""
        image = self.features_of(self.frozen(inputs).full)
        return {self.source: self.logits(image, self.cached_text(), self.branch)}
