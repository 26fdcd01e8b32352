"""The frozen CLIP: the features of open_clip, weights that never change, all sources of weights."""

import copy
import json
import os
import pickle
import zipfile
from types import SimpleNamespace

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from fvgpt.clip import FrozenCLIP, prompt_encoder, torchscript, weights

TEXTS = [
    'a photo of a cat.',
    'X X X X 2012 Acura RL Sedan.',
    'a',
    'a centered satellite photo of Annual Crop Land.',
]
ARCHITECTURE = 'fvgpt-test-vit'


@pytest.fixture(scope='module')
def architecture(random_clip_folder, tmp_path_factory):
    """Register a small architecture with open_clip, without and with QuickGELU; return its name."""
    folder = tmp_path_factory.mktemp('architectures')
    config = json.loads((random_clip_folder / 'open_clip_config.json').read_text())['model_cfg']
    (folder / f'{ARCHITECTURE}.json').write_text(json.dumps(dict(config, quick_gelu=False)))
    (folder / f'{ARCHITECTURE}-quickgelu.json').write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    return ARCHITECTURE


def test_text_features_equal_those_of_open_clip_at_full_context(random_clip):
    model = random_clip.double().model
    tokens = open_clip.get_tokenizer('ViT-B-16')(TEXTS)
    assert tokens.shape[1] == 77
    torch.testing.assert_close(
        random_clip.encode_text(TEXTS), model.encode_text(tokens), rtol=1e-10, atol=1e-12
    )


def test_image_features_equal_those_of_open_clip(random_clip):
    images = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(
        random_clip.encode_image(images), random_clip.model.encode_image(images)
    )


def test_it_has_no_parameters_and_no_state(random_clip):
    assert list(random_clip.parameters()) == []
    assert random_clip.state_dict() == {}
    random_clip.train()
    assert not random_clip.model.training
    assert not any(p.requires_grad for p in random_clip.model.parameters())


def test_gradient_passes_through_to_prompts(random_clip):
    prompts = random_clip.embed_prompts(random_clip.tokenize(TEXTS))
    embeddings = prompts.embeddings.clone().requires_grad_()
    random_clip.encode_prompts(prompts._replace(embeddings=embeddings)).sum().backward()
    assert embeddings.grad.abs().sum() > 0
    after = torch.arange(embeddings.shape[1]) > prompts.eot[:, None]
    assert not embeddings.grad[after].any(), 'tokens after the end-of-text token have no influence'


def test_it_moves_with_its_parent_and_copies_share_the_weights(random_clip):
    parent = nn.Sequential(random_clip)
    assert parent.double()[0].model.logit_scale.dtype == torch.float64
    twin = copy.deepcopy(parent)
    assert twin[0].model is random_clip.model
    assert twin[0] is not random_clip


def test_equal_weights_have_the_same_hash_and_others_do_not(random_clip_folder):
    torch.manual_seed(3)
    one = FrozenCLIP(f'local-dir:{random_clip_folder}', pretrained='random')
    torch.manual_seed(3)
    same = FrozenCLIP(f'local-dir:{random_clip_folder}', pretrained='random')
    other = FrozenCLIP(f'local-dir:{random_clip_folder}', pretrained='random')
    assert one.weight_hash == same.weight_hash != other.weight_hash


# ------------------------------------------------------------------ weights from files
def openai_archive(model, path):
    """Write a TorchScript archive with the tensors of a model, as OpenAI published CLIP."""
    root = nn.Module()
    for key, value in model.state_dict().items():
        *parents, leaf = key.split('.')
        module = root
        for name in parents:
            if not hasattr(module, name):
                module.add_module(name, nn.Module())
            module = getattr(module, name)
        module.register_parameter(leaf, nn.Parameter(value.half()))
    for extra in ('input_resolution', 'context_length', 'vocab_size'):
        root.register_buffer(extra, torch.tensor(1))
    torch.jit.save(torch.jit.script(root), str(path))


def test_openai_archive_implies_quick_gelu(architecture, tmp_path):
    model = open_clip.create_model(architecture, force_quick_gelu=True)
    path = tmp_path / 'ViT.pt'
    openai_archive(model, path)
    clip = FrozenCLIP(architecture, str(path))
    assert clip.quick_gelu
    assert clip.logit_scale == pytest.approx(1 / 0.07, rel=1e-3)
    expected = torch.jit.load(str(path)).state_dict()
    assert all(torch.equal(v, expected[k].float()) for k, v in clip.model.state_dict().items())
    with pytest.raises(ValueError, match='quick_gelu=False does not fit'):
        FrozenCLIP(architecture, str(path), quick_gelu=False)


@pytest.mark.parametrize(
    'name', ['weights.pt', 'open_clip_pytorch_model.bin', 'weights.safetensors']
)
def test_state_dict_files(architecture, tmp_path, name):
    model = open_clip.create_model(architecture)
    path = tmp_path / name
    state = {k: v.contiguous() for k, v in model.state_dict().items()}
    save_file(state, path) if name.endswith('safetensors') else torch.save(state, path)
    with pytest.raises(ValueError, match='does not say which activation'):
        FrozenCLIP(architecture, str(path))
    clip = FrozenCLIP(architecture, str(path), quick_gelu=False)
    assert not clip.quick_gelu
    assert all(torch.equal(v, clip.model.state_dict()[k]) for k, v in state.items())
    assert FrozenCLIP(f'{architecture}-quickgelu', str(path)).quick_gelu


def test_the_error_names_a_damaged_file_and_weights_of_another_model(architecture, tmp_path):
    broken = tmp_path / 'broken.pt'
    broken.write_bytes(b'not a checkpoint')
    with pytest.raises(ValueError, match=r'broken\.pt is not a weights file'):
        FrozenCLIP(architecture, str(broken), quick_gelu=True)
    foreign = tmp_path / 'foreign.safetensors'
    save_file({'weight': torch.zeros(1)}, foreign)
    with pytest.raises(ValueError, match=r'foreign\.safetensors is not a weights file'):
        FrozenCLIP(architecture, str(foreign), quick_gelu=True)


def test_reading_a_plain_archive_as_torchscript_is_an_error(tmp_path):
    path = tmp_path / 'weights.pt'
    torch.save(dict(weight=torch.zeros(1)), path)
    assert not torchscript.is_torchscript(path)
    with pytest.raises(ValueError, match='not a TorchScript'):
        torchscript.read_torchscript(path)


class Bomb:
    """Creates the file ``target`` when it is unpickled."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return open, (self.target, 'w')


def test_a_weights_file_with_code_is_refused_and_the_code_does_not_run(architecture, tmp_path):
    torch.save(dict(state_dict=Bomb(tmp_path / 'went_off')), tmp_path / 'bomb.pt')
    with pytest.raises(ValueError, match='not a weights file'):
        FrozenCLIP(architecture, str(tmp_path / 'bomb.pt'), quick_gelu=True)
    assert not (tmp_path / 'went_off').exists()


def repacked(source, target, member, content, compression=zipfile.ZIP_STORED):
    """Copy an archive and replace the content of one of its members."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, 'w', compression) as new:
        for name in old.namelist():
            new.writestr(name, content if name.endswith(member) else old.read(name))


def test_the_program_in_an_archive_of_openai_is_not_run(architecture, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.jit, 'load', None)
    monkeypatch.setattr(torch._C, 'import_ir_module', None)
    archive, bomb = tmp_path / 'ViT.pt', tmp_path / 'bomb.pt'
    openai_archive(open_clip.create_model(architecture), archive)
    FrozenCLIP(architecture, str(archive))
    repacked(archive, bomb, '/data.pkl', pickle.dumps(Bomb(tmp_path / 'went_off'), 2))
    with pytest.raises(ValueError, match=r'bomb\.pt is not a weights file'):
        FrozenCLIP(architecture, str(bomb))
    assert not (tmp_path / 'went_off').exists()


def test_an_archive_with_compressed_tensors_is_refused(architecture, tmp_path):
    archive, bomb = tmp_path / 'ViT.pt', tmp_path / 'bomb.pt'
    openai_archive(open_clip.create_model(architecture), archive)
    repacked(archive, bomb, '/data/0', bytes(1 << 24), zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match='compressed'):
        FrozenCLIP(architecture, str(bomb))


def test_open_clip_does_not_unpickle_objects_after_an_error(architecture, tmp_path, monkeypatch):
    """It tries again without ``weights_only`` after a TypeError, which a file can provoke."""
    forced, load = [], torch.load

    def fails_once(*args, **kwargs):
        forced.append(os.environ.get('TORCH_FORCE_WEIGHTS_ONLY_LOAD'))
        if len(forced) == 1:
            raise TypeError
        return load(*args, **kwargs)

    monkeypatch.setattr(torch, 'load', fails_once)
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    torch.save(dict(state_dict=Bomb(tmp_path / 'went_off')), tmp_path / 'bomb.pt')
    with pytest.raises(ValueError, match='not a weights file'):
        FrozenCLIP(architecture, str(tmp_path / 'bomb.pt'), quick_gelu=True)
    assert forced == ['1', '1'] and 'TORCH_FORCE_WEIGHTS_ONLY_LOAD' not in os.environ
    assert not (tmp_path / 'went_off').exists()


# ------------------------------------------------------------------ weights by tag
def test_quick_gelu_that_contradicts_the_tag_is_an_error():
    with pytest.raises(ValueError, match='trained with quick_gelu=True'):
        FrozenCLIP('ViT-B-16', 'openai', quick_gelu=False)
    with pytest.raises(ValueError, match='trained without QuickGELU'):
        weights._tag_quick_gelu('ViT-B-16-quickgelu', 'laion2b_s34b_b88k', None)


def test_the_error_about_missing_weights_tells_where_they_are_published(monkeypatch):
    def no_network(*args, **kwargs):
        raise OSError('no route to host')

    monkeypatch.setattr(weights.open_clip, 'create_model', no_network)
    with pytest.raises(FileNotFoundError) as error:
        FrozenCLIP('ViT-B-16', 'openai')
    message = str(error.value)
    assert 'huggingface.co/timm/vit_base_patch16_clip_224.openai' in message
    assert '5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f/ViT-B-16.pt' in message
    assert 'clip.pretrained=' in message and 'no route to host' in message


def test_errors_about_wrong_names_list_the_valid_ones():
    with pytest.raises(ValueError, match="no model 'ViT-B-61'.*ViT-B-16"):
        FrozenCLIP('ViT-B-61', 'openai')
    with pytest.raises(ValueError, match='say which weights ViT-B-16'):
        FrozenCLIP('ViT-B-16')
    with pytest.raises(FileNotFoundError, match='neither a file nor a tag of ViT-B-16.*openai'):
        FrozenCLIP('ViT-B-16', '/nowhere/ViT-B-16.pt')
    with pytest.raises(ValueError, match='brings its own weights'):
        FrozenCLIP('quickstart', 'openai')


@pytest.mark.parametrize('name', ['ViT-B-16-SigLIP', 'coca_ViT-B-32', 'roberta-ViT-B-32'])
def test_text_towers_that_cannot_be_prompted_are_refused(name):
    with pytest.raises(ValueError, match='no causal text tower'):
        FrozenCLIP(name, 'random')


# ------------------------------------------------------------------ precision and memory
def test_half_precision_towers_return_float32_features_close_to_the_full_ones(random_clip_folder):
    name, images = f'local-dir:{random_clip_folder}', torch.randn(2, 3, 32, 32)
    torch.manual_seed(0)
    full = FrozenCLIP(name, pretrained='random')
    torch.manual_seed(0)
    half = FrozenCLIP(name, pretrained='random', precision='bf16')
    for encode, inputs in (
        ('encode_image', images),
        ('encode_text', ['a cat', 'a dog and a cat']),
        ('encode_image_tokens', images),
    ):
        one, other = getattr(full, encode)(inputs), getattr(half, encode)(inputs)
        assert other.dtype == torch.float32 and not torch.equal(one, other)
        assert torch.cosine_similarity(one.flatten(1), other.flatten(1)).min() > 0.99
    with pytest.raises(ValueError, match='precision must be one of bf16, fp16'):
        FrozenCLIP(name, pretrained='random', precision='int8')
    with pytest.raises(ValueError, match='max_text_tokens must be at least 1'):
        FrozenCLIP(name, pretrained='random', max_text_tokens=0)


@pytest.mark.parametrize(
    'free, expected', [(10**12, 2**18), (24 * 10**9, 8192), (10**6, 1024), (0, 1024)]
)
def test_tokens_per_chunk_are_a_power_of_two_that_follows_the_free_memory(
    monkeypatch, free, expected
):
    tower = SimpleNamespace(
        positional_embedding=torch.zeros(77, 512), transformer=SimpleNamespace(resblocks=range(12))
    )
    monkeypatch.setattr(prompt_encoder, 'free_memory', lambda device: free)
    tokens = prompt_encoder.text_tokens_that_fit(tower, torch.device('cpu'))
    assert tokens == expected
