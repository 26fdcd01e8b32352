"""The foreground shift: how far a prediction moves when the background is taken away."""

from torch import Tensor

from ..losses import tempered_kl


def foreground_shift(z_full: Tensor, z_fg: Tensor, temperature: float) -> Tensor:
    """D_fg = KL(p_full || p_fg) (B,) in nats, p = softmax(z / tau), of logits (B, C) of both views (paper, Fig. 5)."""
    return tempered_kl(z_full, z_fg, temperature).clamp(min=0)
