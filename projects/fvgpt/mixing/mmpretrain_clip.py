"""mmpretrain's CLIP without mmpretrain's multimodal extra, with open_clip's tokenizer and weights.

    custom_imports = dict(
        imports=['fvgpt', 'fvgpt.mixing.mmpretrain_clip'], allow_failed_imports=False
    )

The extra needs an old version of transformers, and downloads CLIP's tokenizer and weights. Of all
this, mmpretrain's CLIP only needs a tokenizer. Importing this module registers

- mmpretrain's ``CLIPZeroShot``, if mmpretrain did not register it itself,
- the tokenizer ``OpenCLIPTokenizer``,
- the address ``openclip://NAME/PRETRAINED`` for weights, as in
  ``init_cfg=dict(type='Pretrained', checkpoint='openclip://ViT-B-16/openai')``.

In mmpretrain's configs of CLIP the norms of the image tower have an epsilon of 1e-6, but CLIP was
trained with 1e-5: set ``norm_cfg=dict(type='LN', eps=1e-5)``.
"""

import re
from typing import Any, Dict, List

from mmengine.runner import CheckpointLoader
from mmpretrain.registry import TOKENIZER
from torch import Tensor

from ..clip.frozen_clip import FrozenCLIP
from ..clip.weights import load_tokenizer
from ..compat.mmpretrain import remove_clip_placeholders
from ..io.errors import UserError

_SCHEME = 'openclip://'
# Names of the image tower's parameters in open_clip (and OpenAI's files) -> those in mmpretrain
_NAMES = [
    (r'^visual\.proj$', 'visual_proj.proj'),
    (r'^visual\.conv1\.', 'visual.patch_embed.projection.'),
    (r'^visual\.positional_embedding$', 'visual.pos_embed'),
    (r'^visual\.class_embedding$', 'visual.cls_token'),
    (r'^visual\.ln_pre\.', 'visual.pre_norm.'),
    (r'^visual\.ln_post\.', 'visual.ln1.'),
    (r'^visual\.transformer\.resblocks\.', 'visual.layers.'),
    (r'^(visual\.layers\.\d+\.)ln_', r'\1ln'),
    (r'^(visual\..*)mlp\.c_fc\.', r'\1ffn.layers.0.0.'),
    (r'^(visual\..*)mlp\.c_proj\.', r'\1ffn.layers.1.'),
    (r'^(visual\..*)attn\.in_proj_', r'\1attn.qkv.'),
    (r'^(visual\..*)attn\.out_proj\.', r'\1attn.proj.'),
]

remove_clip_placeholders()  # before the import of the real classes, which registers them
from mmpretrain.models.multimodal.clip import CLIPZeroShot  # noqa: E402

__all__ = ['CLIPZeroShot', 'OpenCLIPTokenizer']


@TOKENIZER.register_module()
class OpenCLIPTokenizer:
    """CLIP's tokenizer with the interface that mmpretrain's CLIP uses.

    open_clip contains the vocabulary, so nothing is downloaded.

    Args:
        name: of the CLIP, see :class:`~fvgpt.clip.FrozenCLIP`.
    """

    def __init__(self, name: str = 'ViT-B-16'):
        self.tokenizer = load_tokenizer(name)

    def get_vocab(self) -> Dict[str, int]:
        """Ids of the two special tokens, the only ones that mmpretrain looks up."""
        return {
            '<|startoftext|>': self.tokenizer.sot_token_id,
            '<|endoftext|>': self.tokenizer.eot_token_id,
        }

    def tokenize(self, text: str) -> List[int]:
        """Token ids of a text."""
        return self.tokenizer.encode(text)

    def convert_tokens_to_ids(self, tokens: List[int]) -> List[int]:
        """The tokens unchanged: :meth:`tokenize` returns ids already."""
        return tokens


def to_mmpretrain(state: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """State dict of an open_clip model with a ViT, in the names and shapes of mmpretrain's CLIP."""
    converted = {}
    for key, value in state.items():
        for pattern, replacement in _NAMES:
            key = re.sub(pattern, replacement, key)
        if key in ('visual.pos_embed', 'visual.cls_token'):
            value = value.reshape(1, -1, value.shape[-1])
        converted[key] = value
    return converted


@CheckpointLoader.register_scheme(prefixes=_SCHEME)
def load_open_clip(
    filename: str, map_location: Any = None, logger: Any = None
) -> Dict[str, Tensor]:
    """Weights of open_clip for mmpretrain's CLIP.

    Args:
        filename: ``openclip://NAME`` or ``openclip://NAME/PRETRAINED``, see
            :class:`~fvgpt.clip.FrozenCLIP` for both.
        map_location, logger: passed by MMEngine, not used.

    Raises:
        MissingFileError, UserError: see FrozenCLIP; or the weights were trained with GELU.
    """
    name, _, pretrained = filename.removeprefix(_SCHEME).partition('/')
    clip = FrozenCLIP(name, pretrained or None)
    if not clip.quick_gelu:
        raise UserError(
            f"{filename} was trained with GELU, and the text tower of mmpretrain's CLIP has "
            "QuickGELU: use OpenAI's weights, or this CLIP as ZeroShotCLIP"
        )
    return to_mmpretrain(clip.model.state_dict())
