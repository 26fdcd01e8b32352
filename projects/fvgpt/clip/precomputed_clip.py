"""A stand-in for the frozen CLIP that has no towers: text features read from a file."""

import hashlib
from functools import cached_property
from typing import Dict, List, Mapping, Optional, Sequence

import torch
from torch import Tensor, nn

from ..datasets.feature_file import FeatureFile
from ..io.errors import UserError
from ..io.hash_file import hash_file
from ..io.suggest import suggest
from ..names import Subset
from ..registry import MODELS
from .frozen_clip import FrozenCLIP
from .prompts import PLAIN_TEMPLATE

WITHOUT_TOWERS = ('ZeroShotCLIP', 'LinearText', 'TaskRes', 'CLIPAdapter', 'TipAdapter')
"""Tuners that need features only."""


@MODELS.register_module()
class PrecomputedCLIP(nn.Module):
    """The part of :class:`~fvgpt.clip.FrozenCLIP` that needs no towers, from a file of features.

    Text features are looked up by class name. It works with tuners that read image and text
    features of the original CLIP only (``WITHOUT_TOWERS``), and with FVG-PT on them.

    Args:
        feature_file, keys, scale: see :class:`~fvgpt.datasets.FeatureFile`.

    Raises:
        MissingFileError: there is no such file.
        UserError: it has no text features with class names; or a tuner needs a tower.
    """

    name = 'PrecomputedCLIP'
    pretrained = None
    quick_gelu = None
    precision = None

    def __init__(
        self,
        feature_file: str,
        keys: Optional[Mapping[str, str]] = None,
        scale: Optional[Mapping[str, float]] = None,
    ):
        super().__init__()
        self.file = FeatureFile(feature_file, keys, scale)
        halves = [Subset.BASE, *([Subset.NEW] if self.file.has_new_classes else [])]
        self._rows: Dict[str, int] = {}
        features: List[Tensor] = []
        for half in halves:
            names = self.file.class_names(half)
            dim = features[0].shape[1] if features else 'D'
            features.append(self.file.features(f'text_{half}', len(names), dim))
            for name in names:
                if name in self._rows:
                    raise UserError(
                        f'{self.file.path} has two classes of the name {name!r}; text features '
                        'are found by name, so name them differently'
                    )
                self._rows[name] = len(self._rows)
        self.register_buffer('text', torch.cat(features), persistent=False)

    def __getattr__(self, name: str):
        # Python looks for special methods on the object: copy.deepcopy, pickle
        if hasattr(FrozenCLIP, name) and not name.startswith('__'):
            raise UserError(
                f'this needs a tower of CLIP ({name}), and {self.__dict__["file"].path} has '
                f'features only; tuners that work on features are {", ".join(WITHOUT_TOWERS)}'
            )
        return super().__getattr__(name)

    @cached_property
    def weight_hash(self) -> str:
        """sha256 of the file, and of the text features chosen from it: it identifies this CLIP."""
        digest = hash_file(self.file.path, hashlib.sha256())
        digest.update(self.text.cpu().numpy().tobytes())
        return digest.hexdigest()

    @property
    def embed_dim(self) -> int:
        """D, dimension of the features."""
        return self.text.shape[1]

    @property
    def logit_scale(self) -> float:
        """s of the CLIP that the features are of."""
        return self.file.logit_scale

    @property
    def device(self) -> torch.device:
        """Device of the text features."""
        return self.text.device

    def class_prompts(
        self, class_names: Sequence[str], template: str, dataset_name: Optional[str] = None
    ) -> List[str]:
        """What :meth:`encode_text` takes for each class: its name.

        Raises:
            UserError: the file has no such class, or another template than the plain one is asked
                for.
        """
        if template != PLAIN_TEMPLATE:
            raise UserError(
                f'the text features of {self.file.path} are of its own prompts, so {template!r} '
                'cannot be used; feature_keys.text_base and .text_new choose other ones in the file'
            )
        for name in class_names:
            if name not in self._rows:
                raise UserError(
                    f'{self.file.path} has no text feature of the class {name!r}'
                    f'{suggest(name, self._rows)}'
                )
        return list(class_names)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Text features (N, D) of N class names, not L2-normalised."""
        return self.text[[self._rows[text] for text in texts]]
