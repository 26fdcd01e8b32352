"""What the frozen towers give for a batch of images, as values with named fields."""

from typing import Dict, Mapping, NamedTuple, Optional, Sequence, Union

import torch
from torch import Tensor

Features = Dict[str, Tensor]
"""Named tensors with one row per image, or one per class.

``feature`` (N, D) is the final feature in CLIP's joint space, not L2-normalised. A tuner adds
what its own logits rule needs.
"""


class ViewFeatures(NamedTuple):
    """Features of one view (the full image, its foreground, ...) of B images.

    Attributes:
        clip: (B, D) feature of the original CLIP, not L2-normalised; None if it was not computed.
        tuned: what the tuner's own image tower gives, rows (B, ...); empty if the tuner uses the
            original CLIP's image tower.
    """

    clip: Optional[Tensor] = None
    tuned: Features = {}

    def rows(self, rows: Union[slice, Tensor]) -> 'ViewFeatures':
        """The features of some of the images, given by a slice or by their positions (b,)."""
        return ViewFeatures(
            None if self.clip is None else self.clip[rows],
            {name: feature[rows] for name, feature in self.tuned.items()},
        )


class FrozenFeatures(NamedTuple):
    """Everything that FVG-PT and the tuners need of a batch of images once the towers are frozen.

    It is computed from images by ``extract_feat``, or read from the feature cache. As a named
    tuple it passes through MMEngine's data preprocessors, which move its tensors to the device.

    Attributes:
        full: of the full view x.
        foreground: of the foreground view x_fg; None without masks.
        area: (B,) foreground share A(m) of the image, in [0, 1]; None without masks.
        exchanged: of x', the object of x on the background of another image
            (background exchange); None unless a model is trained on it.
        held_out: of x, by the image tower of the tuner that was not trained on the image
            (cross-fitting); None unless a model is trained on it and the tuner has such a tower.
    """

    full: ViewFeatures
    foreground: Optional[ViewFeatures] = None
    area: Optional[Tensor] = None
    exchanged: Optional[ViewFeatures] = None
    held_out: Optional[ViewFeatures] = None


def of_clip(rows: Mapping[str, Sequence[Tensor]]) -> FrozenFeatures:
    """Frozen features of the original CLIP.

    Args:
        rows: field of :class:`FrozenFeatures` -> B rows (D,), or B numbers for ``area``.
    """
    stacked = {name: torch.stack(list(values)) for name, values in rows.items()}
    area = stacked.pop('area', None)
    return FrozenFeatures(**{name: ViewFeatures(x) for name, x in stacked.items()}, area=area)
