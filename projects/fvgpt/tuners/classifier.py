"""What every classifier of this project shares: class names in, mmpretrain ``DataSample`` predictions out."""

from abc import abstractmethod
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import torch
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmpretrain.models.classifiers import BaseClassifier
from mmpretrain.models.utils.data_preprocessor import ClsDataPreprocessor
from mmpretrain.structures import DataSample
from torch import Tensor

from ..datasets.class_names import check_class_names
from ..io.errors import NotReadyError, UserError
from ..registry import MODELS

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)  # RGB, of pixels in [0, 1]
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
Features = Dict[str, Tensor]
"""Named tensors with one row an image or a class. ``feature`` (N, D) is CLIP's final feature, not L2-normalised; a tuner
adds what its own logits rule needs."""
Inputs = Union[Tensor, Features]
"""Normalised images (B, 3, H, W), or what the frozen towers say of them."""
BRANCHES = ('base', 'new', 'open')


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
    """mmpretrain's, which hands on features of images (``inputs`` is a dict then) as they are."""

    def forward(self, data: dict, training: bool = False) -> dict:
        """Cast and, where they are images (B, 3, H, W), normalise ``inputs`` of a batch from the loader."""
        if isinstance(data['inputs'], dict):
            return dict(
                data, inputs=self.cast_data(data['inputs'])
            )  # labels follow as one tensor, see gt_labels()
        return super().forward(data, training)


class CLIPClassifier(BaseClassifier):
    """A classifier whose classes are names that can change at any time.

    Sub-classes give :meth:`logits_by_source`, :meth:`loss`, :meth:`extract_feat`, :meth:`cache_key` and ``source``,
    the name of their own predictions. Wherever images (B, 3, H, W) are taken, what :meth:`extract_feat` gave for them is
    taken too.

    Args:
        class_names: names of the classes in label order; left out, they come from the dataset through
            ``ClassNamesHook``.
        data_preprocessor: config; CLIP's normalisation when left out.
    """

    source: str

    def __init__(
        self, class_names: Optional[Sequence[str]] = None, data_preprocessor: Optional[dict] = None
    ):
        super().__init__(data_preprocessor=data_preprocessor or clip_preprocessor())
        self.class_names: List[str] = []
        self.branch = 'base'
        self.dataset_name: Optional[str] = None
        self.trained_class_names: Tuple[str, ...] = ()
        if class_names is not None:
            self.set_class_names(class_names)

    def set_class_names(
        self, class_names: Sequence[str], branch: str = 'base', dataset_name: Optional[str] = None
    ) -> None:
        """Change the classes; trained parameters stay as they are.

        Args:
            class_names: in label order.
            branch: ``base`` for classes that were trained on, ``new`` for others, ``open`` for a mixture, in which the
                model itself knows which it was trained on. A method may use different logits, as FVG-PT and MMRL do.
            dataset_name: for templates that follow the data set (``CUSTOM_TEMPLATES``).
        """
        if branch not in BRANCHES:
            raise UserError(f'branch must be one of {BRANCHES}, not {branch!r}')
        self.branch = branch
        names = check_class_names(class_names)
        if names != self.class_names or dataset_name != self.dataset_name:
            self.dataset_name = dataset_name
            self._build_classes(names)
            self.class_names = names

    def set_trained_classes(self, class_names: Sequence[str]) -> None:
        """Note the classes of the training set; checkpoints carry them."""
        self.trained_class_names = tuple(class_names)

    def trained_columns(self, device: Optional[torch.device] = None) -> Tensor:
        """For each current class its label in training, (C,), or -1 where it was not trained on. Names decide.

        Raises:
            RuntimeError: it is not known what the model was trained on.
        """
        if not self.trained_class_names:
            raise NotReadyError(
                f'{type(self).__name__} does not know which classes it was trained on: load a checkpoint, or '
                'call set_trained_classes()'
            )
        labels: Dict[str, List[int]] = {}
        for label, name in enumerate(self.trained_class_names):
            labels.setdefault(name, []).append(label)
        # ImageNet has two classes of one name: the first in the list is the first that was trained on
        columns = [labels[name].pop(0) if labels.get(name) else -1 for name in self.class_names]
        return torch.tensor(columns, device=device)

    @property
    def _dataset_meta(self) -> dict:
        """Where mmpretrain's ``get_model`` puts the metainfo of the training set in a checkpoint."""
        return self.__dict__.get('_metainfo_of_training', {})

    @_dataset_meta.setter
    def _dataset_meta(self, meta: dict) -> None:
        self.__dict__['_metainfo_of_training'] = meta
        if meta.get('classes'):
            self.set_trained_classes(meta['classes'])
            self.set_class_names(meta['classes'], dataset_name=meta.get('dataset_name'))

    @abstractmethod
    def _build_classes(self, class_names: List[str]) -> None:
        """Prepare whatever depends on the class names."""

    @abstractmethod
    def extract_feat(self, images: Tensor) -> Features:
        """What the frozen towers say of normalised images (B, 3, H, W), rows (B, ...): all that is needed of the images."""

    @abstractmethod
    def cache_key(self, training: bool) -> Optional[str]:
        """All that :meth:`extract_feat` depends on but the images, for training or evaluation; None where training cannot do
        with it."""

    @abstractmethod
    def logits_by_source(self, inputs: Inputs) -> Dict[str, Tensor]:
        """Logits (B, C) of normalised images (B, 3, H, W), the classifier's own under the key ``source``."""

    @abstractmethod
    def loss(self, inputs: Inputs, data_samples: List[DataSample]) -> Dict[str, Tensor]:
        """Loss terms; those whose key contains ``loss`` are added up, the others are logged."""

    def forward(
        self, inputs: Inputs, data_samples: Optional[List[DataSample]] = None, mode: str = 'tensor'
    ) -> Union[Tensor, Dict[str, Tensor], List[DataSample]]:
        """mmpretrain's entry: ``loss`` gives the loss terms, ``predict`` data samples, ``tensor`` logits (B, C)."""
        if not self.class_names:
            raise NotReadyError(
                f'{type(self).__name__} does not know its classes yet: call set_class_names(), or add '
                "dict(type='ClassNamesHook') to custom_hooks so that they come from the dataset"
            )
        if mode == 'loss':
            if data_samples is None:
                raise UserError("mode 'loss' needs data_samples, with labels")
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self.logits_by_source(inputs)[self.source]
        raise UserError(f"mode must be 'loss', 'predict' or 'tensor', not {mode!r}")

    def predict(
        self, inputs: Inputs, data_samples: Optional[List[DataSample]] = None
    ) -> List[DataSample]:
        """Data samples with ``pred_score`` (C,), ``pred_label``, and the scores of each source as ``<source>_score``."""
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


def tuner_of(model: CLIPClassifier) -> Any:
    """The :class:`~fvgpt.tuners.PromptTuner`, below FVG-PT or alone."""
    return model.tuner if hasattr(model, 'tuner') else model


def gt_labels(data_samples: List[DataSample], device: torch.device) -> Tensor:
    """Labels (B,) of a batch."""
    return torch.cat([sample.gt_label for sample in data_samples]).to(device)


def unwrapped(model: torch.nn.Module) -> Any:
    """The model inside wrappers: of distributed training, of test-time augmentation."""
    inner: Any = model
    while is_model_wrapper(inner) or isinstance(inner, BaseTTAModel):
        inner = inner.module
    return inner
