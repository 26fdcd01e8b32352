"""A tuner's text features as the classifier of any image network."""
from typing import Tuple

import torch.nn.functional as F
from mmpretrain.models import ClsHead
from torch import Tensor, nn

from ..checkpoint import load_tuner
from ..registry import MODELS


@MODELS.register_module()
class TextFeatureHead(ClsHead):
    """z = s cos(W f, g): a learned projection W into CLIP's space, and the text features g of a trained tuner, never changed.

    The classes are those that the tuner was trained on; labels must be in their order, as they are in the data set that it
    was trained on. The tuner is needed only while the head is built; checkpoints hold g.

    Args:
        in_channels: dimension of the image network's features.
        tuner: config of the tuner. checkpoint: of its training.
        logit_scale: s.
        others: see mmpretrain's ClsHead.

    Raises:
        FileNotFoundError, ValueError: the checkpoint is missing, broken, of another tuner, or records no classes.
    """

    def __init__(self, in_channels: int, tuner: dict, checkpoint: str, logit_scale: float = 100., **kwargs):
        super().__init__(**kwargs)
        trained = MODELS.build(tuner)
        load_tuner(trained, checkpoint)
        if not trained.trained_class_names:
            raise ValueError(f'{checkpoint} does not record the classes it was trained on: take one that tools/train.py wrote')
        trained.set_class_names(trained.trained_class_names)
        g = trained.eval().cached_text()['feature'].float()
        self.projection = nn.Linear(in_channels, g.shape[1], bias=False)
        self.register_buffer('text_features', F.normalize(g, dim=-1).clone())
        self.class_names, self.logit_scale = trained.class_names, logit_scale

    def forward(self, feats: Tuple[Tensor, ...]) -> Tensor:
        """Logits (B, C) of features whose last are (B, in_channels)."""
        f = F.normalize(self.projection(self.pre_logits(feats)), dim=-1)
        return self.logit_scale * f @ self.text_features.T
