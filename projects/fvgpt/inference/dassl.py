"""Import of checkpoints of the original trainers (Dassl format), and export as safetensors.

``KEY_TABLES`` documents the mapping of parameter names: a regular expression of the original name,
and our name. In our name ``{n}`` is the first group of the match (a number or a word), ``{n-1}``
and ``{n+1}`` the number minus or plus 1, and ``{m}`` the second group. The originals count layers
from 0, and their deep prompts start at layer 1. We stack the prompts of all layers in one tensor;
the index in such a tensor is in brackets, ``deep_text[{n-1}]``.
"""

import json
import re
from pathlib import Path
from typing import Any, Dict, List, Tuple

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..io.errors import UserError
from ..tuners.checkpoint import read_checkpoint
from ..tuners.provenance import PROVENANCE, Provenance

_CONTEXT = [(r'(?:prompt_learner\.)?ctx', 'ctx')]
_DEEP = [
    (r'image_encoder\.VPT', 'ctx_vision'),
    (r'image_encoder\.transformer\.resblocks\.(\d+)\.VPT_shallow', 'deep_vision[{n-1}]'),
    (r'text_encoder\.transformer\.resblocks\.(\d+)\.VPT_shallow', 'deep_text[{n-1}]'),
]
KEY_TABLES: Dict[str, List[Tuple[str, str]]] = dict(
    CoOp=_CONTEXT,
    KgCoOp=_CONTEXT,
    ProGrad=_CONTEXT,
    CoCoOp=[
        *_CONTEXT,
        (r'(?:prompt_learner\.)?meta_net\.linear1\.(weight|bias)', 'meta_net.0.{n}'),
        (r'(?:prompt_learner\.)?meta_net\.linear2\.(weight|bias)', 'meta_net.2.{n}'),
    ],
    IVLP=[*_CONTEXT, *_DEEP],
    PromptSRC=[*_CONTEXT, *_DEEP],
    MaPLe=[
        *_CONTEXT,
        (r'(?:prompt_learner\.)?compound_prompts_text\.(\d+)', 'deep_text[{n}]'),
        (r'(?:prompt_learner\.)?proj\.(weight|bias)', 'couplings.0.{n}'),
        (
            r'(?:prompt_learner\.)?compound_prompt_projections\.(\d+)\.(weight|bias)',
            'couplings.{n+1}.{m}',
        ),
    ],
    MMRL=[
        (r'representation_learner\.compound_rep_tokens', 'tokens'),
        (
            r'representation_learner\.compound_rep_tokens_r2tproj\.(\d+)\.(weight|bias)',
            'to_text.{n}.{m}',
        ),
        (
            r'representation_learner\.compound_rep_tokens_r2vproj\.(\d+)\.(weight|bias)',
            'to_vision.{n}.{m}',
        ),
        (r'image_encoder\.proj_rep', 'rep_projection'),
    ],
)


def our_key(name: str, tuner: str) -> str:
    """Our name of an original parameter; '' if it is not a trained parameter of that tuner."""
    for pattern, ours in KEY_TABLES[tuner]:
        found = re.fullmatch(pattern, name)
        if found:
            first, second = (*found.groups(''), '', '')[:2]
            for text, value in (('{n}', first), ('{m}', second)):
                ours = ours.replace(text, value)
            for text, step in (('{n-1}', -1), ('{n+1}', 1)):
                if text in ours:
                    ours = ours.replace(text, str(int(first) + step))
            return ours
    return ''


def from_dassl(state: Dict[str, Tensor], tuner: str) -> Dict[str, Tensor]:
    """State dict of our tuner from that of the original trainer, trained parameters only.

    Args:
        state: original name -> tensor.
        tuner: class name of the tuner.

    Raises:
        UserError: an unknown tuner, or ``state`` has none of its parameters.
    """
    if tuner not in KEY_TABLES:
        raise UserError(
            f'there is no key table for the tuner {tuner!r}; there is one for '
            f'{", ".join(KEY_TABLES)}'
        )
    result: Dict[str, Any] = {}
    for name, value in state.items():
        key = our_key(name, tuner)
        stacked = re.fullmatch(r'(\w+)\[(\d+)\]', key)
        if stacked:
            result.setdefault(stacked[1], {})[int(stacked[2])] = value.float()
        elif key:
            result[key] = value.float()
    if not result:
        raise UserError(
            f'none of the parameters of {tuner} is among {", ".join(list(state)[:5])} ...'
        )
    return {
        key: torch.stack([value[i] for i in sorted(value)]) if isinstance(value, dict) else value
        for key, value in result.items()
    }


def import_checkpoint(path: str, output: Path, tuner: str) -> List[str]:
    """Write a checkpoint of the original code as one of ours.

    Returns:
        Keys of the state dict.

    Raises:
        MissingFileError, UserError: see :func:`~fvgpt.tuners.checkpoint.read_checkpoint` and
            :func:`from_dassl`.
    """
    state = from_dassl(read_checkpoint(path)['state_dict'], tuner)
    origin = Provenance(tuner=tuner, imported_from=Path(path).name)
    torch.save(
        dict(meta={PROVENANCE: origin.to_dict()}, state_dict=state),
        output,
    )
    return list(state)


def export_checkpoint(path: str, output: Path) -> List[str]:
    """Write the parameters of one of our checkpoints as safetensors, with provenance as metadata.

    Returns:
        Keys of the state dict.

    Raises:
        MissingFileError, UserError: see :func:`~fvgpt.tuners.checkpoint.read_checkpoint`.
    """
    content = read_checkpoint(path)
    recorded = Provenance.of_checkpoint(content).to_dict()
    save_file(
        {key: value.contiguous() for key, value in content['state_dict'].items()},
        output,
        metadata={key: json.dumps(value) for key, value in recorded.items()},
    )
    return list(content['state_dict'])
