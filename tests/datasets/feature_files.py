"""A small file of synthetic features: classes are directions, images are noisy copies of them."""

import json
from pathlib import Path
from typing import Dict

import torch
from safetensors.torch import save_file

BASE, NEW = ['bus', 'cup', 'dog'], ['bird', 'cake']
DIM, VIEWS, PER_CLASS, TESTS = 16, 2, 4, 3


def tensors(seed: int = 0) -> Dict[str, torch.Tensor]:
    """By the names of docs/features.md; features have a length of about 10."""
    noise = torch.Generator().manual_seed(seed)

    def images(*shape: int) -> torch.Tensor:
        return 4 * torch.randn(*shape, DIM, generator=noise)

    text = 10 * torch.nn.functional.normalize(images(len(BASE) + len(NEW)), dim=-1)
    labels = torch.arange(len(BASE)).repeat_interleave(PER_CLASS)
    of_test = torch.tensor([*range(len(BASE))] * TESTS + [*range(len(NEW))] * TESTS)
    is_new = torch.tensor([0] * len(BASE) * TESTS + [1] * len(NEW) * TESTS)
    shown = text[of_test + len(BASE) * is_new]
    half = torch.float16
    return dict(
        text_base=text[: len(BASE)].to(half),
        text_new=text[len(BASE) :].to(half),
        train_labels=labels,
        train_full=(text[labels] + images(VIEWS, len(labels))).to(half),
        train_foreground=(text[labels] + images(VIEWS, len(labels))).to(half),
        train_exchanged=(text[labels] + images(VIEWS, len(labels))).to(half),
        train_area=torch.rand(VIEWS, len(labels), generator=noise),
        test_labels=of_test,
        test_is_new=is_new,
        test_full=(shown + images(len(of_test))).to(half),
        test_exchanged=(shown + images(len(of_test)))[[4, 0]].to(half),
        test_exchanged_rows=torch.tensor([4, 0]),
    )


def write(path: Path, changed: Dict = {}, metadata: Dict[str, str] = {}) -> Path:
    """Write a file; ``changed`` tensors replace those of :func:`tensors`, None removes one."""
    content = {name: x for name, x in {**tensors(), **changed}.items() if x is not None}
    names = dict(base=json.dumps(BASE), new=json.dumps(NEW))
    save_file({name: x.contiguous() for name, x in content.items()}, path, {**names, **metadata})
    return path
