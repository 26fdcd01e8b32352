"""Building an open_clip model with the weights the user asked for, or saying what is missing and where it is published."""

import os
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Optional, Tuple

import open_clip
from huggingface_hub import constants as hub_constants
from open_clip.pretrained import get_pretrained_cfg

from ..io.errors import MissingFileError, UserError
from .torchscript import is_torchscript, read_torchscript

QUICKSTART_CLIP = Path(__file__).resolve().parent.parent / 'assets' / 'quickstart_clip'


def _tag_quick_gelu(name: str, tag: str, quick_gelu: Optional[bool]) -> bool:
    trained_with = bool(get_pretrained_cfg(name, tag).get('quick_gelu', False))
    if quick_gelu is not None and quick_gelu != trained_with:
        raise UserError(
            f'quick_gelu={quick_gelu} does not fit: the weights {tag!r} of {name} were trained with '
            f'quick_gelu={trained_with}; leave the key out'
        )
    if name.endswith('-quickgelu') and not trained_with:
        raise UserError(
            f'{name} does not fit: the weights {tag!r} were trained without QuickGELU; '
            f'use name={name.removesuffix("-quickgelu")!r}'
        )
    return trained_with


def _file_quick_gelu(name: str, path: Path, quick_gelu: Optional[bool]) -> bool:
    if is_torchscript(path):
        if quick_gelu is False:
            raise UserError(
                f'quick_gelu=False does not fit: {path} is an archive of OpenAI, trained with QuickGELU'
            )
        return True
    if name.endswith('-quickgelu'):
        if quick_gelu is False:
            raise UserError(f'quick_gelu=False contradicts name={name!r}')
        return True
    if quick_gelu is None:
        raise UserError(
            f'{path} does not say which activation its weights were trained with, and the wrong one costs '
            'accuracy silently: set quick_gelu=True for weights of OpenAI, False for those of LAION'
        )
    return quick_gelu


def _load_file(name: str, path: Path, quick_gelu: bool):
    model = open_clip.create_model(name, load_weights=False, force_quick_gelu=quick_gelu)
    try:
        if is_torchscript(path):
            state = read_torchscript(path)
            model.load_state_dict({key: state[key] for key in model.state_dict() if key in state})
        else:
            with _tensors_only():
                open_clip.load_checkpoint(model, str(path), strict=True, weights_only=True)
    except Exception as error:
        raise UserError(
            f'{path} is not a weights file of {name} (an OpenAI .pt archive, or a .pt, .bin or '
            f'.safetensors state dict): {str(error)[:500]}'
        ) from error
    return model


@contextmanager
def _tensors_only() -> Iterator[None]:
    """Let ``torch.load`` unpickle nothing else, also where open_clip tries again without ``weights_only``."""
    before = {
        key: os.environ.pop(key, None)
        for key in ('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', 'TORCH_FORCE_WEIGHTS_ONLY_LOAD')
    }
    os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD'] = '1'
    try:
        yield
    finally:
        del os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD']
        os.environ.update({key: value for key, value in before.items() if value is not None})


@contextmanager
def _no_vain_retries() -> Iterator[None]:
    """Where the hub's host has no address, let huggingface_hub look in its cache only, not retry for a minute."""
    if any(os.environ.get(key) for key in ('https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY')):
        yield  # a proxy resolves names for us
        return
    before = hub_constants.HF_HUB_OFFLINE
    try:
        socket.getaddrinfo(hub_constants.ENDPOINT.split('/')[2].split(':')[0], 443)
    except OSError:
        hub_constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        hub_constants.HF_HUB_OFFLINE = before


def _load_tag(name: str, tag: str, quick_gelu: bool, cache_dir: Optional[str]):
    try:
        with _no_vain_retries(), _tensors_only():
            return open_clip.create_model(
                name, pretrained=tag, force_quick_gelu=quick_gelu, cache_dir=cache_dir
            )
    except Exception as error:
        where = get_pretrained_cfg(name, tag)
        hub, url = where.get('hf_hub', ''), where.get('url', '')
        sources = (
            [f'open_clip_model.safetensors of https://huggingface.co/{hub.strip("/")}']
            if hub
            else []
        )
        sources += [url] if url else []
        raise MissingFileError(
            f'the weights {tag!r} of {name} are not on this machine and could not be fetched. Fetch '
            f'{" or ".join(sources)} on a machine with network, put the file anywhere here, and set '
            f'pretrained="/path/to/the/file" (in a recipe: --cfg-options clip.pretrained=/path/to/the/file'
            f'{" clip.quick_gelu=True" if quick_gelu else ""}). The cause was: {str(error)[:300]}'
        ) from error


def _refuse_other_text_towers(name: str) -> None:
    """Prompt tuning needs CLIP's own text tower: causal, read at the end-of-text token, with CLIP's tokenizer."""
    text = (open_clip.get_model_config(name) or {}).get('text_cfg', {})
    if any(
        text.get(key)
        for key in ('hf_model_name', 'hf_tokenizer_name', 'no_causal_mask', 'embed_cls')
    ) or text.get('pool_type', 'argmax') not in ('argmax', 'eos'):
        raise UserError(
            f"{name} has no causal text tower that is read at the end-of-text token with CLIP's own "
            "tokenizer, as prompt tuning needs; choose one of OpenAI's architectures, e.g. ViT-B-16"
        )


def _folder(name: str) -> str:
    return f'local-dir:{QUICKSTART_CLIP}' if name == 'quickstart' else name


def load_tokenizer(name: str) -> Any:
    """open_clip's tokenizer of a model; see :class:`fvgpt.clip.FrozenCLIP` for the name."""
    folder = _folder(name)
    bpe = Path(folder.partition(':')[2]) / 'bpe.txt.gz'
    return open_clip.get_tokenizer(
        folder, **(dict(bpe_path=str(bpe)) if ':' in folder and bpe.is_file() else {})
    )


def load_clip(
    name: str, pretrained: Optional[str], quick_gelu: Optional[bool], cache_dir: Optional[str]
) -> Tuple:
    """See :class:`fvgpt.clip.FrozenCLIP` for the arguments.

    Returns:
        the open_clip model in float32 on the CPU, and its tokenizer.
    """
    if name == 'quickstart' or ':' in name:
        folder = _folder(name)
        if pretrained not in (None, 'random'):
            raise UserError(
                f'name={name!r} brings its own weights; leave out pretrained={pretrained!r}'
            )
        if quick_gelu is not None:
            raise UserError(
                f'name={name!r} says itself whether it uses QuickGELU; leave out quick_gelu'
            )
        _refuse_other_text_towers(folder)
        with _tensors_only():
            model = open_clip.create_model(
                folder, load_weights=pretrained is None, require_pretrained=pretrained is None
            )
        return model, load_tokenizer(name)
    if open_clip.get_model_config(name) is None:
        raise UserError(
            f'open_clip has no model {name!r}; it has {", ".join(open_clip.list_models())}'
        )
    _refuse_other_text_towers(name)
    tokenizer = load_tokenizer(name)
    tags = open_clip.list_pretrained_tags_by_model(name)
    if pretrained is None:
        raise UserError(
            f'say which weights {name} shall have: pretrained=one of {", ".join(tags)}, a weights file, or '
            '"random"'
        )
    if pretrained == 'random':
        return open_clip.create_model(
            name, load_weights=False, force_quick_gelu=bool(quick_gelu)
        ), tokenizer
    if get_pretrained_cfg(name, pretrained):
        return _load_tag(
            name, pretrained, _tag_quick_gelu(name, pretrained, quick_gelu), cache_dir
        ), tokenizer
    path = Path(pretrained).expanduser()
    if not path.is_file():
        raise MissingFileError(
            f'pretrained={pretrained!r} is neither a file nor a tag of {name} ({", ".join(tags)})'
        )
    return _load_file(name, path, _file_quick_gelu(name, path, quick_gelu)), tokenizer
