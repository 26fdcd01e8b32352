"""Prior Calibration (paper, PC): the new branch, a per-image balance of tuned and original CLIP."""

from typing import NamedTuple

from torch import Tensor, nn

from ..clip.precision import at_least_float32
from ..registry import MODELS
from .reliability_gate import BackboneReliabilityGate


class Calibrated(NamedTuple):
    """z_pc (B, C) and the trust b (B,) in the original CLIP."""

    z_pc: Tensor
    b: Tensor


@MODELS.register_module()
class PriorCalibration(nn.Module):
    """z_PC = (1 - b) z_main + b z_CLIP, with b from the Backbone Reliability Gate.

    The released configuration also has BDPC_USE_RG_IF_MASK, whose effect is not public; it is not
    implemented (decision O21).

    Args:
        inputs, hidden, layers, temperature (BDPC_TAU_PC), normalize_entropy: of the gate, see
            :class:`~fvgpt.foreground.ReliabilityGate`.
    """

    def __init__(self, **gate):
        super().__init__()
        self.gate = BackboneReliabilityGate(**gate)

    def forward(self, z_main: Tensor, z_clip: Tensor) -> Calibrated:
        """z_PC and b from the logits (B, C) of the tuner and of the original CLIP.

        z_main follows the tuner's rule for new classes; the paper writes z_full.
        """
        z_main, z_clip = at_least_float32(z_main), at_least_float32(z_clip)
        b = self.gate(z_main, z_clip)
        return Calibrated((1 - b[:, None]) * z_main + b[:, None] * z_clip, b)
