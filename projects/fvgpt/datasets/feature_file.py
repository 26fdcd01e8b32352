"""Files of precomputed features: named tensors in a safetensors file, checked when it is opened."""

import json
from functools import cached_property
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Tuple, Union

import torch
from mmengine.logging import print_log
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..io.errors import UserError
from ..io.require_path import require_path
from ..io.suggest import suggest
from ..names import Subset
from .class_names import check_class_names

Size = Union[int, str]
"""A dimension: its size, or a letter if any size fits."""
SIDES = ('image', 'text')


class FeatureFile:
    """A safetensors file of precomputed features (docs/features.md).

    Tensors, in any floating type, by the names that this project gives them:

    =====================  ==========  ========================================================
    ``text_base``          (C, D)      text features of the base classes, in label order
    ``text_new``           (C', D)     of the new classes; optional
    ``train_labels``       (N,)        labels of the training images, of base classes
    ``train_full``         (V, N, D)   image features of V random views of each image
    ``train_foreground``   (V, N, D)   of the foreground of the same views
    ``train_exchanged``    (V, N, D)   of their foreground on another image's background
    ``train_area``         (V, N)      foreground share of each view, in [0, 1]
    ``train_NAME``         (V, N, ...) anything else that may take the place of one of these
    ``test_labels``        (M,)        labels of the test images, each within its half
    ``test_is_new``        (M,)        1 if the image is of a new class, else 0; optional
    ``test_full``          (M, D)      image features of the test images
    ``test_VIEW``          (K, D)      of another view of K of them, under any name
    ``test_VIEW_rows``     (K,)        which; not needed if K = M
    =====================  ==========  ========================================================

    One view may also be (N, D), and its area (N,). Metadata: ``base`` and ``new``, JSON lists of
    class names; optionally ``logit_scale`` (100 if absent), ``image_scale`` and ``text_scale``
    (see ``scale``).

    Args:
        path: of the file.
        keys: name as above -> name in the file, if they differ.
        scale: factors by which features are multiplied, ``image`` and ``text``: CLIP's own length,
            about 10, for features that were stored with unit length. They have priority over the
            metadata.

    Raises:
        MissingFileError: there is no such file.
        UserError: it is not a safetensors file, its metadata is invalid, or ``keys`` or ``scale``
            has an unknown name.
    """

    def __init__(
        self,
        path: str,
        keys: Optional[Mapping[str, str]] = None,
        scale: Optional[Mapping[str, float]] = None,
    ):
        self.path = Path(path).expanduser()
        require_path(self.path, 'feature_file', 'a file of precomputed features (docs/features.md)')
        try:
            with safe_open(self.path, 'pt') as file:
                self.metadata: Dict[str, str] = file.metadata() or {}
                names: List[str] = file.keys()
                self.shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
        except (SafetensorError, OSError) as error:
            raise UserError(f'{self.path} is not a safetensors file: {error}') from error
        self.keys = dict(keys or {})
        for key in self.keys:
            if key.partition('_')[0] not in ('text', 'train', 'test'):
                raise UserError(
                    f'feature_keys.{key}: names begin with text_, train_ or test_ '
                    '(docs/features.md)'
                )
        self.scale = {side: self._number(f'{side}_scale', 1.0) for side in SIDES}
        for side, value in (scale or {}).items():
            if side not in SIDES:
                raise UserError(f'feature_scale has image and text, not {side!r}')
            self.scale[side] = float(value)

    # ------------------------------------------------------------------ metadata
    @cached_property
    def logit_scale(self) -> float:
        """s of the CLIP that the features are of."""
        return self._number('logit_scale', 100.0)

    def class_names(self, subset: str) -> List[str]:
        """Names of the base classes, of the new ones, or of both, in label order.

        Raises:
            UserError: they are missing or invalid, or not as many as text features.
        """
        if subset == Subset.ALL:
            return [*self.class_names(Subset.BASE), *self.class_names(Subset.NEW)]
        key = str(subset)
        if key not in self.metadata:
            have = f'it has {", ".join(sorted(self.metadata)) or "none"}'
            raise UserError(
                f'{self.path}: the metadata {key!r} must be a JSON list of the names of the {key} '
                f'classes; {have}'
            )
        try:
            names = check_class_names(json.loads(self.metadata[key]))
        except (TypeError, ValueError) as error:
            raise UserError(
                f'{self.path}: the metadata {key!r} must be a JSON list of class names ({error})'
            ) from error
        self.check(f'text_{key}', len(names), 'D')
        return names

    @property
    def has_new_classes(self) -> bool:
        """Whether the file has new classes."""
        return str(Subset.NEW) in self.metadata

    def _number(self, key: str, default: float) -> float:
        try:
            value = float(self.metadata.get(key, default))
        except ValueError:
            value = 0.0
        if not 0 < value < float('inf'):
            raise UserError(
                f'{self.path}: the metadata {key!r} must be a positive number, not '
                f'{self.metadata[key]!r}'
            )
        return value

    # ------------------------------------------------------------------ tensors
    def name(self, key: str) -> str:
        """The name in the file of a tensor."""
        return self.keys.get(key, key)

    def __contains__(self, key: str) -> bool:
        return self.name(key) in self.shapes

    def shape(self, key: str) -> Tuple[int, ...]:
        """The shape of a tensor that is in the file."""
        return self.shapes[self.name(key)]

    def check(self, key: str, *shape: Size) -> Tuple[int, ...]:
        """The shape of a tensor, which must fit.

        Args:
            key: name of the tensor.
            shape: the size of each dimension, or a letter if any size fits.

        Raises:
            UserError: there is no such tensor, or its shape is another one.
        """
        name = self.name(key)
        expected = f'({", ".join(map(str, shape))}{"," if len(shape) == 1 else ""})'
        mapped = f' (feature_keys.{key})' if name != key else ''
        if name not in self.shapes:
            raise UserError(
                f'{self.path} has no tensor {name!r}{mapped} of shape {expected}'
                f'{suggest(name, self.shapes)}; if it has another name there, set '
                f'feature_keys.{key}=NAME'
            )
        found = self.shapes[name]
        if len(found) != len(shape) or any(
            isinstance(size, int) and size != other for size, other in zip(shape, found)
        ):
            raise UserError(
                f'{self.path}: {name!r}{mapped} has the shape {found}, expected {expected}'
            )
        return found

    def read(self, key: str, *shape: Size) -> Tensor:
        """A tensor as it is in the file.

        Raises:
            UserError: as :meth:`check`; or it contains values that are not finite.
        """
        self.check(key, *shape)
        name = self.name(key)
        with safe_open(self.path, 'pt') as file:
            tensor: Tensor = file.get_tensor(name)
        if not bool(torch.isfinite(tensor).all()):
            raise UserError(f'{self.path}: {name!r} has values that are not finite numbers')
        return tensor

    def integers(self, key: str, below: int, *shape: Size) -> Tensor:
        """Integers in [0, below), as int64.

        Raises:
            UserError: as :meth:`read`; or a value is not one of them.
        """
        tensor = self.read(key, *shape)
        whole = tensor.long()
        wrong = (whole != tensor) | (whole < 0) | (whole >= below)
        if bool(wrong.any()):
            row = int(wrong.flatten().nonzero()[0])
            raise UserError(
                f'{self.path}: {self.name(key)!r} is {tensor.flatten()[row].item()} in '
                f'row {row}, expected an integer from 0 to {below - 1}'
            )
        return whole

    def features(self, key: str, *shape: Size) -> Tensor:
        """Features in float32, multiplied by their scale, with a warning if they have unit length.

        Raises:
            UserError: as :meth:`read`.
        """
        side = 'text' if key.startswith('text') else 'image'
        features = self.read(key, *shape).float() * self.scale[side]
        length = float(features.norm(dim=-1).mean())
        if 0.9 < length < 1.1:
            print_log(
                f'{self.path}: {self.name(key)!r} has features of unit length. The '
                "adapters of FDC are stable on features of CLIP's own length, about 10: set "
                f'feature_scale.{side}=10',
                'current',
                level=30,
            )
        return features
