"""What every classifier of this project shares: class names in, mmpretrain data samples out."""

from abc import abstractmethod
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import torch
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmpretrain.models.classifiers import BaseClassifier
from mmpretrain.models.utils.data_preprocessor import ClsDataPreprocessor
from mmpretrain.structures import DataSample
from torch import Tensor

from ..datasets.class_names import check_class_names
from ..io.errors import NotReadyError, UserError
from ..names import Branch
from ..registry import MODELS
from .features import FrozenFeatures, ViewFeatures, of_clip

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)  # RGB, of pixels in [0, 1]
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
Inputs = Union[Tensor, FrozenFeatures]
"""Normalised images (B, 3, H, W), or their frozen features."""


def clip_preprocessor() -> dict:
    """Config of mmpretrain's preprocessor with CLIP's normalisation of BGR uint8 images."""
    return dict(
        type='CLIPDataPreprocessor',
        mean=[255 * m for m in CLIP_MEAN],
        std=[255 * s for s in CLIP_STD],
        to_rgb=True,
    )


@MODELS.register_module()
class CLIPDataPreprocessor(ClsDataPreprocessor):
    """mmpretrain's data preprocessor, which also passes on cached or precomputed features, and
    normalises the exchanged views (``exchanged`` of the data samples, see
    :class:`~fvgpt.datasets.PasteForeground`) like the images."""

    def forward(self, data: dict, training: bool = False) -> dict:
        """Cast a batch from the loader to the device and normalise its images.

        Args:
            data: ``inputs`` are images (B, 3, H, W); or :class:`FrozenFeatures`, which are only
                moved to the device; or rows of features by view, as
                :class:`~fvgpt.datasets.PrecomputedFeatures` returns them. ``data_samples`` are the
                labels.
            training: whether batch augmentations apply.
        """
        if isinstance(data['inputs'], Mapping):
            data = dict(data, inputs=of_clip(data['inputs']))
        if isinstance(data['inputs'], FrozenFeatures):
            return dict(data, inputs=self.cast_data(data['inputs']))
        samples = data.get('data_samples') or []
        if samples and 'exchanged' in samples[0]:
            views = super().forward(dict(inputs=[sample.exchanged for sample in samples]))
            for sample, view in zip(samples, views['inputs']):
                sample.set_field(view, 'exchanged', dtype=Tensor)
        return super().forward(data, training)


class CLIPClassifier(BaseClassifier):
    """A classifier whose classes are names that can change at any time.

    Sub-classes define :meth:`loss`, :meth:`logits_by_source` and ``source``, the name of their own
    predictions. Class names are set by :meth:`set_class_names`: in a run, ``ClassNamesHook`` takes
    them from the data set.

    Args:
        data_preprocessor: config; CLIP's normalisation by default.
    """

    source: str

    def __init__(self, data_preprocessor: Optional[dict] = None):
        super().__init__(data_preprocessor=data_preprocessor or clip_preprocessor())
        self.class_names: List[str] = []
        self.branch = Branch.BASE
        self.dataset_name: Optional[str] = None
        self.trained_class_names: Tuple[str, ...] = ()

    # ------------------------------------------------------------------ classes
    def set_class_names(
        self,
        class_names: Sequence[str],
        branch: str = Branch.BASE,
        dataset_name: Optional[str] = None,
    ) -> 'CLIPClassifier':
        """Change the classes; trained parameters stay as they are.

        Args:
            class_names: in label order.
            branch: a :class:`Branch`. ``base`` for classes that were trained on, ``new`` for
                others, ``open`` for a mixture, in which the model itself knows which classes it
                was trained on. A method may use different logits, as FVG-PT and MMRL do.
            dataset_name: selects the template of prompts that depend on the data set
                (``CUSTOM_TEMPLATES``).

        Returns:
            The model itself.

        Raises:
            UserError: an unknown branch, no class names, or an empty one.
        """
        if branch not in list(Branch):
            raise UserError(f'branch must be one of {", ".join(Branch)}, not {branch!r}')
        self.branch = Branch(branch)
        names = check_class_names(class_names)
        if names != self.class_names or dataset_name != self.dataset_name:
            before = self.class_names, self.dataset_name
            self.class_names, self.dataset_name = names, dataset_name
            try:
                self._build_classes(names)
            except BaseException:
                self.class_names, self.dataset_name = before
                raise
        return self

    def set_trained_classes(self, class_names: Sequence[str]) -> None:
        """Record the classes of the training set; checkpoints contain them."""
        self.trained_class_names = tuple(class_names)

    def trained_columns(self, device: Optional[torch.device] = None) -> Tensor:
        """Training label of each current class, (C,); -1 for classes that were not trained on.

        Classes are matched by name.

        Raises:
            NotReadyError: the classes of the training set are unknown.
        """
        if not self.trained_class_names:
            raise NotReadyError(
                f'{type(self).__name__} does not know which classes it was trained on: load a '
                'checkpoint, or call set_trained_classes()'
            )
        labels: Dict[str, List[int]] = {}
        for label, name in enumerate(self.trained_class_names):
            labels.setdefault(name, []).append(label)
        # ImageNet has two classes with the same name: they are matched in their order
        columns = [labels[name].pop(0) if labels.get(name) else -1 for name in self.class_names]
        return torch.tensor(columns, device=device)

    @property
    def _dataset_meta(self) -> dict:
        """The checkpoint's metainfo of the training set; mmpretrain's ``get_model`` sets it."""
        return self.__dict__.get('_metainfo_of_training', {})

    @_dataset_meta.setter
    def _dataset_meta(self, meta: dict) -> None:
        self.__dict__['_metainfo_of_training'] = meta
        if meta.get('classes'):
            self.set_trained_classes(meta['classes'])
            self.set_class_names(meta['classes'], dataset_name=meta.get('dataset_name'))

    @abstractmethod
    def _build_classes(self, class_names: List[str]) -> None:
        """Prepare everything that depends on the class names."""

    def cache_key(self, training: bool) -> Optional[str]:
        """None: a model without frozen features of its own has nothing to cache."""
        return None

    # ------------------------------------------------------------------ mmpretrain's interface
    @abstractmethod
    def logits_by_source(self, inputs: Inputs) -> Dict[str, Tensor]:
        """Logits (B, C) of each source; the model's own are under the key ``self.source``."""

    @abstractmethod
    def loss(self, inputs: Inputs, data_samples: List[DataSample]) -> Dict[str, Tensor]:
        """Loss terms: those whose key contains ``loss`` are added up, the others are logged."""

    def forward(
        self,
        inputs: Inputs,
        data_samples: Optional[List[DataSample]] = None,
        mode: str = 'tensor',
    ) -> Union[Tensor, Dict[str, Tensor], List[DataSample]]:
        """mmpretrain's entry point.

        Args:
            inputs: normalised images (B, 3, H, W), or their frozen features.
            data_samples: B data samples, with labels in mode ``loss``.
            mode: ``loss`` returns the loss terms, ``predict`` data samples, ``tensor`` logits
                (B, C).

        Raises:
            NotReadyError: the class names were not set.
            ValueError: an unknown mode, or no data samples in mode ``loss``.
        """
        if not self.class_names:
            raise NotReadyError(
                f'{type(self).__name__} has no class names yet: call set_class_names(), or add '
                "dict(type='ClassNamesHook') to custom_hooks so that they come from the dataset"
            )
        if mode == 'loss':
            if data_samples is None:
                raise ValueError("mode 'loss' needs data_samples, with labels")
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self.logits_by_source(inputs)[self.source]
        raise ValueError(f"mode must be 'loss', 'predict' or 'tensor', not {mode!r}")

    def predict(
        self, inputs: Inputs, data_samples: Optional[List[DataSample]] = None
    ) -> List[DataSample]:
        """Data samples with ``pred_score`` (C,), ``pred_label`` and ``<source>_score`` (C,)."""
        scores = {
            source: logits.float().softmax(-1)
            for source, logits in self.logits_by_source(inputs).items()
        }
        own = scores[self.source]
        labels = own.argmax(-1, keepdim=True)
        data_samples = data_samples or [DataSample() for _ in range(len(own))]
        for i, sample in enumerate(data_samples):
            for source, score in scores.items():
                sample.set_field(score[i], f'{source}_score', dtype=torch.Tensor)
            sample.set_pred_score(own[i]).set_pred_label(labels[i])
        return data_samples


class FrozenTowerClassifier(CLIPClassifier):
    """A classifier that needs only the image towers' features, so it also runs on cached features.

    Sub-classes define :meth:`extract_feat`, :meth:`extract_for` and :meth:`cache_key`.
    """

    @property
    def needs_masks(self) -> bool:
        """Whether training reads the foreground view, so that the data samples must have masks."""
        return False

    @property
    def needs_exchanged(self) -> bool:
        """Whether training reads the exchanged view, so that the data samples must have it."""
        return False

    @abstractmethod
    def extract_feat(
        self, images: Tensor, masks: Optional[Tensor] = None, original: bool = True
    ) -> FrozenFeatures:
        """Features of the image towers.

        Args:
            images: normalised, (B, 3, H, W).
            masks: foreground masks (B, 1, H, W) in {0, 1}, for models that read the foreground.
            original: whether the original CLIP's features are needed. They cost a pass of their
                own if the tuner has changed the image tower.
        """

    def extract_held_out(
        self, images: Tensor, data_samples: List[DataSample]
    ) -> Optional[ViewFeatures]:
        """Features of training images by the tuners that were not trained on them.

        None if the model does not read them, see ``calibration_folds`` of FVGPT.
        """
        return None

    @abstractmethod
    def extract_for(
        self, images: Tensor, data_samples: Optional[List[DataSample]]
    ) -> FrozenFeatures:
        """:meth:`extract_feat` of exactly those features that training or prediction reads.

        Args:
            images: normalised, (B, 3, H, W).
            data_samples: of the batch, to train on it; None to predict.
        """

    @abstractmethod
    def cache_key(self, training: bool) -> Optional[str]:
        """Cache key of the features: changes whenever the features of the same image would.

        Args:
            training: whether they are for training or for evaluation.

        Returns:
            None while the image tower is being trained: there is nothing to cache.
        """

    def frozen(
        self, inputs: Inputs, data_samples: Optional[List[DataSample]] = None
    ) -> FrozenFeatures:
        """Cached features as they are, or the features of images; see :meth:`extract_for`."""
        if isinstance(inputs, FrozenFeatures):
            return inputs
        return self.extract_for(inputs, data_samples)


def tuner_of(model: CLIPClassifier) -> Any:
    """The :class:`~fvgpt.tuners.PromptTuner` of a model: below FVG-PT, or the model itself."""
    return model.tuner if hasattr(model, 'tuner') else model


def unwrapped(model: torch.nn.Module) -> Any:
    """The model inside wrappers for distributed training and for test-time augmentation."""
    inner: Any = model
    while is_model_wrapper(inner) or isinstance(inner, BaseTTAModel):
        inner = inner.module
    return inner


def gt_labels(data_samples: List[DataSample], device: torch.device) -> Tensor:
    """Labels (B,) of a batch."""
    return torch.cat([sample.gt_label for sample in data_samples]).to(device)
