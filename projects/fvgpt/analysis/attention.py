"""Attention roll-out and Grad-CAM over the patches, and their shares inside the foreground."""

from typing import Dict, List, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..clip import ImagePass, at_least_float32
from ..names import Source

ROLLOUT, GRADCAM = 'rollout', 'gradcam'
MAPS = {ROLLOUT: 'attention roll-out', GRADCAM: 'Grad-CAM'}


def next_block_rows(rows: Tensor, is_prompt: Tensor) -> Tensor:
    """Assign the origins of the tokens that a block returns to the tokens that the next one
    receives.

    Args:
        rows: (B, S, P + 2), origins of the S returned tokens, as in :func:`rollout`.
        is_prompt: (T,) bool, which of the T received tokens a tuner inserted or replaced.

    Returns:
        (B, T, P + 2). New prompts come entirely from the last column.
    """
    result = torch.zeros(
        len(rows), len(is_prompt), rows.shape[-1], device=rows.device, dtype=rows.dtype
    )
    result[..., -1] = 1
    replaced = rows.shape[1] == len(is_prompt)
    result[:, ~is_prompt] = rows[:, ~is_prompt] if replaced else rows
    return result


def origins(image_pass: ImagePass) -> Tensor:
    """Return the origin of each token of the first block, one-hot rows (1, T, P + 2).

    The columns are those of :func:`rollout`.
    """
    first, patches = image_pass.attention[0], image_pass.patches
    start = torch.eye(1 + patches, patches + 2, device=first.device, dtype=first.dtype)
    return next_block_rows(start[None], image_pass.is_prompt[0])


def rollout(image_pass: ImagePass) -> Tensor:
    """Attention roll-out (Abnar & Zuidema, 2020, section 3).

    R <- (A + I) / 2 R from the first block to the last, where A is the attention averaged over the
    heads.

    Returns:
        (B, T, P + 2): for each token of the last block the shares that come from the class token,
        from the P patches, and from all prompts together (the last column). Rows add up to one.
    """
    shares = origins(image_pass)
    for index, attention in enumerate(image_pass.attention):
        if index:
            shares = next_block_rows(shares, image_pass.is_prompt[index])
        shares = (attention @ shares + shares) / 2
    return shares


def class_token_rollout(image_pass: ImagePass) -> Tensor:
    """Return the roll-out from the class token to the patches, (B, P)."""
    return rollout(image_pass)[:, 0, 1:-1]


def patch_positions(image_pass: ImagePass) -> Tensor:
    """Return the positions (P,) of the patch tokens in the last block."""
    rows = origins(image_pass)
    for is_prompt in image_pass.is_prompt[1:]:
        rows = next_block_rows(rows, is_prompt)
    return rows[0, :, 1:-1].argmax(0)


def grad_cam(passes: Sequence[ImagePass], score: Tensor) -> Tensor:
    """Grad-CAM (Selvaraju et al., 2017) of B class scores.

    The activation A is ``ln_1(x)`` of the last block, at the patch tokens. After this block only
    the class token is read, so no later activation has a gradient at the patches. alpha is the mean
    of dscore / dA over the patches, and the map is relu(sum over channels of alpha A). If a score
    depends on two towers (a tuner's and that of original CLIP), their maps are added before the
    relu.

    Args:
        passes: passes of the same images, recorded with gradients.
        score: the sum of the B scores, each of which depends on one image only.

    Returns:
        (B, P), not negative, in arbitrary units.
    """
    tokens = [image_pass.tokens for image_pass in passes]
    gradients = torch.autograd.grad(score, tokens, retain_graph=True, allow_unused=True)
    maps: List[Tensor] = []
    for image_pass, gradient in zip(passes, gradients):
        if gradient is not None:
            patches = patch_positions(image_pass)
            alpha = gradient[:, patches].mean(1, keepdim=True)
            weighted = alpha * image_pass.tokens[:, patches]
            maps.append(at_least_float32(weighted.sum(-1).detach()))
    return torch.stack(maps).sum(0).relu()


def attention_maps(
    passes: Sequence[ImagePass], logits: Dict[str, Tensor], labels: Tensor
) -> Dict[str, Tensor]:
    """Compute both maps of the true class for each source.

    Args:
        passes: recorded passes of the same images. The first one is the tuner's, the last one that
            of original CLIP; they are the same if the tuner does not change the image tower.
        logits: source -> (B, C).
        labels: (B,), true classes.

    Returns:
        ``<source>/rollout`` and ``<source>/gradcam`` -> (B, P).
    """
    maps = {}
    for source, z in logits.items():
        image_pass = passes[-1] if source == Source.ZERO_SHOT else passes[0]
        maps[f'{source}/{ROLLOUT}'] = class_token_rollout(image_pass)
        maps[f'{source}/{GRADCAM}'] = grad_cam(passes, z.gather(1, labels[:, None]).sum())
    return maps


def share_inside(patch_map: Tensor, mask: Tensor, grid: Tuple[int, int]) -> Tensor:
    """Compute the share of a map that is inside the mask.

    Args:
        patch_map: (B, P), not negative.
        mask: (B, 1, H, W) in {0, 1}.
        grid: rows and columns of patches, P in total.

    Returns:
        (B,) in [0, 1]; nan if the map is zero everywhere. A patch that is partly inside counts by
        the share of its area.
    """
    inside = F.adaptive_avg_pool2d(mask, grid).flatten(1)
    return (patch_map * inside).sum(1) / patch_map.sum(1)
