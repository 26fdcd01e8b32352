"""Logits of every size, form and number format, for the tests of numerics."""

import torch
from hypothesis import strategies as st

SHAPES = st.tuples(st.integers(1, 5), st.sampled_from([1, 2, 3, 10, 100, 2000]))
SCALES = st.sampled_from([0.0, 1e-3, 1.0, 100.0, 1e4])
DTYPES = st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16])


def logits(shape, scale, seed, dtype=torch.float32):
    return (
        (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale)
        .clamp(-6e4, 6e4)
        .to(dtype)
    )


def one_hot(classes, label, scale):
    """(1, C): ``scale`` at the label, 0 elsewhere."""
    return scale * torch.nn.functional.one_hot(torch.tensor([label]), classes).double()


def passes_gradcheck(module, *arguments, read=lambda output: output):
    """Whether the gradients of a float64 module's parameters agree with finite differences."""
    names, values = zip(*module.named_parameters())

    def output(*parameters):
        return read(torch.func.functional_call(module, dict(zip(names, parameters)), arguments))

    return torch.autograd.gradcheck(
        output, tuple(value.detach().requires_grad_() for value in values)
    )
