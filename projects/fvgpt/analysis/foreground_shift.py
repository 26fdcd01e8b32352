"""The foreground shift: how much a prediction changes if the background is removed."""

from torch import Tensor

from ..losses import tempered_kl


def foreground_shift(z_full: Tensor, z_fg: Tensor, temperature: float) -> Tensor:
    """D_fg = KL(p_full || p_fg) with p = softmax(z / tau) (paper, Fig. 5).

    Args:
        z_full: (B, C), logits of the full view.
        z_fg: (B, C), logits of the foreground view.
        temperature: tau.

    Returns:
        (B,), in nats. Rounding errors below 0 are set to 0.
    """
    return tempered_kl(z_full, z_fg, temperature).clamp(min=0)
