"""Tip-Adapter and Tip-Adapter-F: training-free adaptation of CLIP (Zhang et al., ECCV 2022)."""

from typing import Any, Dict, List, Optional, Union

import torch
import torch.nn.functional as F
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmpretrain.structures import DataSample
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..clip.frozen_clip import FrozenCLIP
from ..clip.prompts import PLAIN_TEMPLATE
from ..io.errors import NotReadyError, UserError
from ..names import Branch, Source
from ..registry import HOOKS, MODELS
from .classifier import Inputs, gt_labels, unwrapped
from .features import Features
from .zero_shot import ZeroShotCLIP


@MODELS.register_module()
class TipAdapter(ZeroShotCLIP):
    """Zero-shot CLIP plus a cache of the training images: z + alpha exp(-beta (1 - f K^T)) Y.

    K (N, D) are the normalised features of the training images, Y (N, C) their one-hot labels;
    :class:`TipCacheHook` fills both before training. Tip-Adapter-F trains K; Tip-Adapter is the
    same with a learning rate of 0. Classes that are not in the cache get zero-shot logits.

    Args:
        clip, template, data_preprocessor: see :class:`~fvgpt.tuners.zero_shot.ZeroShotCLIP`.
        cache_size: N, number of training images.
        alpha, beta: weight and sharpness of the cache (1 and 5.5 in the original, before its search
            on validation data).
    """

    source = Source.TUNER
    logits_are_cosine = False
    training_images_key = 'cache_size'

    def __init__(
        self,
        clip: Union[FrozenCLIP, dict],
        cache_size: int,
        alpha: float = 1.0,
        beta: float = 5.5,
        template: str = PLAIN_TEMPLATE,
        data_preprocessor: Optional[dict] = None,
    ):
        super().__init__(clip, template, data_preprocessor)
        self.alpha, self.beta = alpha, beta
        self.keys = nn.Parameter(torch.zeros(cache_size, self.clip.embed_dim))
        self.register_buffer('key_labels', torch.full((cache_size,), -1))

    def copy_for(self, training_images: int) -> 'TipAdapter':
        """With an empty cache of that size."""
        other: Any = super().copy_for(training_images)
        other.keys = nn.Parameter(self.keys.new_zeros(training_images, self.keys.shape[1]))
        other.key_labels = self.key_labels.new_full((training_images,), -1)
        return other

    @torch.no_grad()
    def fill_cache(self, features: Tensor, labels: Tensor) -> None:
        """Set the cache to features (N, D) and labels (N,) of all training images.

        Raises:
            UserError: N is not ``cache_size``.
        """
        if len(features) != len(self.keys):
            raise UserError(
                f'the training set has {len(features)} images, but cache_size={len(self.keys)}; '
                f'set cache_size to {len(features)}'
            )
        self.keys.copy_(F.normalize(features.float(), dim=-1))
        self.key_labels.copy_(labels)

    def logits(self, image: Features, text: Features, branch: str = Branch.BASE) -> Tensor:
        """z + alpha exp(-beta (1 - f K^T)) Y, (B, C); for new classes z.

        Raises:
            NotReadyError: the cache is empty.
        """
        z = super().logits(image, text)
        if branch == Branch.NEW:
            return z
        if not torch.compiler.is_compiling() and (self.key_labels < 0).any():
            raise NotReadyError(
                "TipAdapter's cache is empty: add dict(type='TipCacheHook') to custom_hooks, or "
                'load a checkpoint'
            )
        affinity = (
            -self.beta * (1 - F.normalize(image['feature'].float(), dim=-1) @ self.keys.T)
        ).exp()
        if branch == Branch.BASE and not self.trained_class_names:
            # During training the current classes are those of the labels
            return z + self.alpha * affinity @ F.one_hot(self.key_labels, z.shape[-1]).to(affinity)
        columns = self.trained_columns(z.device)
        cached = affinity @ F.one_hot(self.key_labels, len(self.trained_class_names)).to(affinity)
        return z + self.alpha * cached[:, columns.clamp(min=0)] * (columns >= 0)

    def cache_entries(self, inputs: Inputs, data_samples: List[DataSample]) -> Dict[str, Tensor]:
        """``features`` (B, D) and ``labels`` (B,) of normalised training images (B, 3, H, W), or of
        their frozen features."""
        features = self.features_of(self.frozen(inputs, data_samples).full)['feature']
        return dict(features=features, labels=gt_labels(data_samples, features.device))


@HOOKS.register_module()
class TipCacheHook(Hook):
    """Fill the cache of :class:`TipAdapter` with the features of all training images.

    Before training, each image is encoded once, in order, after the transforms of the training
    pipeline. Every rank encodes all images, so all have the same cache.

    Args:
        batch_size: of this pass.
    """

    def __init__(self, batch_size: int = 64):
        self.batch_size = batch_size

    @torch.no_grad()
    def before_train(self, runner) -> None:
        """Fill the cache, unless it was loaded from the checkpoint of a resumed run.

        Raises:
            UserError: the training set does not have ``cache_size`` images.
        """
        if runner.iter > 0:
            return  # resumed: the checkpoint contains the cache
        model: TipAdapter = unwrapped(runner.model)
        loader = DataLoader(
            runner.train_dataloader.dataset, self.batch_size, collate_fn=pseudo_collate
        )
        entries = [model.cache_entries(**model.data_preprocessor(batch)) for batch in loader]
        model.fill_cache(
            *(torch.cat([entry[key] for entry in entries]) for key in ('features', 'labels'))
        )
