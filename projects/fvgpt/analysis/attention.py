"""Where a model looks: attention roll-out and Grad-CAM over the patches, and how much of either lies in the foreground."""

from typing import Dict, List, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..clip import ImagePass, at_least_float32

ROLLOUT, GRADCAM = 'rollout', 'gradcam'
MAPS = {ROLLOUT: 'attention roll-out', GRADCAM: 'Grad-CAM'}


def carry(rows: Tensor, fresh: Tensor) -> Tensor:
    """Rows (B, S, K) of the tokens of one block for the T tokens of the next: fresh ones come from the last column alone."""
    carried = torch.zeros(
        len(rows), len(fresh), rows.shape[-1], device=rows.device, dtype=rows.dtype
    )
    carried[..., -1] = 1
    carried[:, ~fresh] = rows[:, ~fresh] if rows.shape[1] == len(fresh) else rows
    return carried


def origins(seen: ImagePass) -> Tensor:
    """One-hot rows (1, T, P + 2): where each token of the first block comes from, by the columns of :func:`rollout`."""
    first = seen.attention[0]
    start = torch.eye(1 + seen.patches, seen.patches + 2, device=first.device, dtype=first.dtype)
    return carry(start[None], seen.is_prompt[0])


def rollout(seen: ImagePass) -> Tensor:
    """Attention roll-out (Abnar & Zuidema, 2020, section 3): R <- (A + I) / 2 R from the first block to the last, with A the
    attention averaged over the heads.

    Returns:
        (B, T, P + 2): for each token of the last block the shares that come from the class token, the P patches and the
        tokens that a tuner put in (all of them together, the last column). Rows add up to one.
    """
    shares = origins(seen)
    for index, (attention, fresh) in enumerate(zip(seen.attention, seen.is_prompt)):
        if index:
            shares = carry(shares, fresh)
        shares = (attention @ shares + shares) / 2
    return shares


def class_token_rollout(seen: ImagePass) -> Tensor:
    """Roll-out from the class token to the patches (B, P)."""
    return rollout(seen)[:, 0, 1:-1]


def patch_positions(seen: ImagePass) -> Tensor:
    """Positions (P,) of the patch tokens in the last block."""
    rows = origins(seen)
    for fresh in seen.is_prompt[1:]:
        rows = carry(rows, fresh)
    return rows[0, :, 1:-1].argmax(0)


def grad_cam(passes: Sequence[ImagePass], score: Tensor) -> Tensor:
    """Grad-CAM (Selvaraju et al., 2017) of B class scores, over the patch tokens that the last block's attention reads.

    A = ln_1(x) of the last block: after it only the class token is read, so there is no later activation whose patches have a
    gradient. alpha = mean of dscore / dA over the patches; map = relu(sum over channels of alpha A). Where a score
    depends on two towers (a tuner's and untouched CLIP's), their maps are added before the relu.

    Args:
        passes: of the same images, watched with gradient.
        score: sum over the B scores, each of which depends on its own image alone.

    Returns:
        (B, P), not negative, in no particular unit.
    """
    gradients = torch.autograd.grad(
        score, [seen.tokens for seen in passes], retain_graph=True, allow_unused=True
    )
    maps: List[Tensor] = []
    for seen, gradient in zip(passes, gradients):
        if gradient is not None:
            patches = patch_positions(seen)
            alpha = gradient[:, patches].mean(1, keepdim=True)
            maps.append(at_least_float32((alpha * seen.tokens[:, patches]).sum(-1).detach()))
    return torch.stack(maps).sum(0).relu()


def attention_maps(
    passes: Sequence[ImagePass], logits: Dict[str, Tensor], labels: Tensor
) -> Dict[str, Tensor]:
    """``<source>/rollout`` and ``<source>/gradcam`` (B, P) of each source's logits (B, C), for the true class.

    The first pass is the tuner's, the last one CLIP's; they are one where the tuner leaves the tower alone.
    """
    maps = {}
    for source, z in logits.items():
        maps[f'{source}/{ROLLOUT}'] = class_token_rollout(
            passes[-1 if source == 'zero_shot' else 0]
        )
        maps[f'{source}/{GRADCAM}'] = grad_cam(passes, z.gather(1, labels[:, None]).sum())
    return maps


def share_inside(patch_map: Tensor, mask: Tensor, grid: Tuple[int, int]) -> Tensor:
    """Share (B,) in [0, 1] of a map over patches that lies inside the mask; nan where the map is zero.

    Args:
        patch_map: (B, P), not negative. mask: (B, 1, H, W) in {0, 1}. grid: rows and columns of patches, P of them.
    """
    inside = F.adaptive_avg_pool2d(mask, grid).flatten(1)
    return (patch_map * inside).sum(1) / patch_map.sum(1)
