"""Building an open_clip model with the weights that the user names.

If weights are missing, the error tells where they are published.
"""

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
    """Activation that published weights were trained with.

    Raises:
        ValueError: ``quick_gelu`` or the name of the architecture contradicts it.
    """
    trained_with = bool(get_pretrained_cfg(name, tag).get('quick_gelu', False))
    if quick_gelu is not None and quick_gelu != trained_with:
        raise UserError(
            f'quick_gelu={quick_gelu} does not fit: the weights {tag!r} of {name} were trained '
            f'with quick_gelu={trained_with}; omit the key'
        )
    if name.endswith('-quickgelu') and not trained_with:
        raise UserError(
            f'{name} does not fit: the weights {tag!r} were trained without QuickGELU; '
            f'use name={name.removesuffix("-quickgelu")!r}'
        )
    return trained_with


def _file_quick_gelu(name: str, path: Path, quick_gelu: Optional[bool]) -> bool:
    """Activation that the weights in a file were trained with.

    Raises:
        ValueError: it is not known, or ``quick_gelu`` contradicts it.
    """
    if is_torchscript(path):
        if quick_gelu is False:
            raise UserError(
                f'quick_gelu=False does not fit: {path} is an archive of OpenAI, trained with '
                'QuickGELU'
            )
        return True
    if name.endswith('-quickgelu'):
        if quick_gelu is False:
            raise UserError(f'quick_gelu=False contradicts name={name!r}')
        return True
    if quick_gelu is None:
        raise UserError(
            f'{path} does not say which activation its weights were trained with, and the wrong '
            'one lowers the accuracy without any error: set quick_gelu=True for weights of OpenAI, '
            'False for those of LAION'
        )
    return quick_gelu


def _load_file(name: str, path: Path, quick_gelu: bool):
    """Build a model with the weights of a file.

    Raises:
        ValueError: the file cannot be read, or its weights are not those of this architecture.
    """
    model = open_clip.create_model(name, load_weights=False, force_quick_gelu=quick_gelu)
    try:
        if is_torchscript(path):
            state = read_torchscript(path)
            model.load_state_dict({key: state[key] for key in model.state_dict() if key in state})
        else:
            with _weights_only():
                open_clip.load_checkpoint(model, str(path), strict=True, weights_only=True)
    except Exception as error:
        raise UserError(
            f'{path} is not a weights file of {name} (an OpenAI .pt archive, or a .pt, .bin or '
            f'.safetensors state dict): {str(error)[:500]}'
        ) from error
    return model


@contextmanager
def _weights_only() -> Iterator[None]:
    """Force ``torch.load`` to unpickle tensors only.

    open_clip tries again without ``weights_only`` after an error; this applies then, too.
    """
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
def _offline_if_hub_is_unreachable() -> Iterator[None]:
    """Restrict huggingface_hub to its cache if the hub's host name cannot be resolved.

    Otherwise it would retry for a minute.
    """
    if any(os.environ.get(key) for key in ('https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY')):
        yield  # the proxy resolves the name
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
    """Build a model with published weights.

    Raises:
        FileNotFoundError: they are not on this machine and cannot be downloaded.
    """
    try:
        with _offline_if_hub_is_unreachable(), _weights_only():
            return open_clip.create_model(
                name, pretrained=tag, force_quick_gelu=quick_gelu, cache_dir=cache_dir
            )
    except Exception as error:
        published = get_pretrained_cfg(name, tag)
        sources = []
        if published.get('hf_hub'):
            repository = published['hf_hub'].strip('/')
            sources.append(f'open_clip_model.safetensors of https://huggingface.co/{repository}')
        if published.get('url'):
            sources.append(published['url'])
        options = 'clip.pretrained=/path/to/the/file' + (
            ' clip.quick_gelu=True' if quick_gelu else ''
        )
        raise MissingFileError(
            f'the weights {tag!r} of {name} are not on this machine and could not be downloaded. '
            f'Download {" or ".join(sources)} on a machine with network access, copy the file to '
            'this machine, and set pretrained="/path/to/the/file" (in a recipe: --cfg-options '
            f'{options}). The cause was: {str(error)[:300]}'
        ) from error


def _refuse_other_text_towers(name: str) -> None:
    """Check that the text tower is CLIP's, as prompt tuning needs it.

    Raises:
        ValueError: it is not causal, is not read at the end-of-text token, or has another
            tokenizer.
    """
    text = (open_clip.get_model_config(name) or {}).get('text_cfg', {})
    if any(
        text.get(key)
        for key in ('hf_model_name', 'hf_tokenizer_name', 'no_causal_mask', 'embed_cls')
    ) or text.get('pool_type', 'argmax') not in ('argmax', 'eos'):
        raise UserError(
            f"{name} has no causal text tower that is read at the end-of-text token with CLIP's "
            "own tokenizer, as prompt tuning needs; choose one of OpenAI's architectures, e.g. "
            'ViT-B-16'
        )


def _open_clip_name(name: str) -> str:
    """open_clip's name of a model: ``quickstart`` is a folder of this package."""
    return f'local-dir:{QUICKSTART_CLIP}' if name == 'quickstart' else name


def load_tokenizer(name: str) -> Any:
    """Return open_clip's tokenizer of a model.

    Args:
        name: as in :class:`fvgpt.clip.FrozenCLIP`. If it is a folder with ``bpe.txt.gz``, that is
            the vocabulary.
    """
    name = _open_clip_name(name)
    vocabulary = Path(name.partition(':')[2]) / 'bpe.txt.gz'
    if ':' in name and vocabulary.is_file():
        return open_clip.get_tokenizer(name, bpe_path=str(vocabulary))
    return open_clip.get_tokenizer(name)


def load_clip(
    name: str, pretrained: Optional[str], quick_gelu: Optional[bool], cache_dir: Optional[str]
) -> Tuple:
    """Build an open_clip model with its weights. :class:`fvgpt.clip.FrozenCLIP` has the arguments.

    Returns:
        The model, in float32 on the CPU, and its tokenizer.

    Raises:
        ValueError: unknown name, or arguments that contradict each other.
        FileNotFoundError: the weights are not on this machine and cannot be downloaded.
    """
    if name == 'quickstart' or ':' in name:
        return _load_folder(name, pretrained, quick_gelu), load_tokenizer(name)
    if open_clip.get_model_config(name) is None:
        raise UserError(
            f'open_clip has no model {name!r}; it has {", ".join(open_clip.list_models())}'
        )
    _refuse_other_text_towers(name)
    model = _load_architecture(name, pretrained, quick_gelu, cache_dir)
    return model, load_tokenizer(name)


def _load_folder(name: str, pretrained: Optional[str], quick_gelu: Optional[bool]):
    """Build the model of a folder or a hub name, which has a config and weights of its own."""
    if pretrained not in (None, 'random'):
        raise UserError(f'name={name!r} brings its own weights; omit pretrained={pretrained!r}')
    if quick_gelu is not None:
        raise UserError(
            f'the config of name={name!r} states whether it uses QuickGELU; omit quick_gelu'
        )
    name = _open_clip_name(name)
    _refuse_other_text_towers(name)
    with _weights_only():
        return open_clip.create_model(
            name, load_weights=pretrained is None, require_pretrained=pretrained is None
        )


def _load_architecture(
    name: str, pretrained: Optional[str], quick_gelu: Optional[bool], cache_dir: Optional[str]
):
    """Build one of open_clip's architectures with random or published weights, or from a file."""
    tags = open_clip.list_pretrained_tags_by_model(name)
    if pretrained is None:
        raise UserError(
            f'say which weights {name} should have: pretrained=one of {", ".join(tags)}, a weights '
            'file, or "random"'
        )
    if pretrained == 'random':
        return open_clip.create_model(name, load_weights=False, force_quick_gelu=bool(quick_gelu))
    if get_pretrained_cfg(name, pretrained):
        return _load_tag(name, pretrained, _tag_quick_gelu(name, pretrained, quick_gelu), cache_dir)
    path = Path(pretrained).expanduser()
    if not path.is_file():
        raise MissingFileError(
            f'pretrained={pretrained!r} is neither a file nor a tag of {name} ({", ".join(tags)})'
        )
    return _load_file(name, path, _file_quick_gelu(name, path, quick_gelu))
