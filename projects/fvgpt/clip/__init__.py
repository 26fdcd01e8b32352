"""The frozen CLIP that everything is trained on. Only this package knows open_clip's internals."""

from .attention_recording import ImagePass, has_attention, record_image_passes
from .frozen_clip import QUICKSTART_CLIP, FrozenCLIP
from .precision import at_least_float32
from .precomputed_clip import WITHOUT_TOWERS, PrecomputedCLIP
from .prompt_encoder import EmbeddedPrompts
from .prompts import CUSTOM, CUSTOM_TEMPLATES, PLAIN_TEMPLATE, fill_template, resolve_template
from .state_hash import state_hash
from .token_edits import (
    TokenEdit,
    TokenEdits,
    insert_tokens,
    replace_last_tokens,
    replace_tokens,
)
from .weights import load_tokenizer

__all__ = [
    'CUSTOM',
    'CUSTOM_TEMPLATES',
    'EmbeddedPrompts',
    'FrozenCLIP',
    'ImagePass',
    'PLAIN_TEMPLATE',
    'PrecomputedCLIP',
    'QUICKSTART_CLIP',
    'TokenEdit',
    'TokenEdits',
    'WITHOUT_TOWERS',
    'at_least_float32',
    'fill_template',
    'has_attention',
    'insert_tokens',
    'load_tokenizer',
    'record_image_passes',
    'replace_last_tokens',
    'replace_tokens',
    'resolve_template',
    'state_hash',
]
