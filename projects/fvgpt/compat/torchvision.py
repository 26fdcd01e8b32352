"""torchvision beside a torch whose operators it was not built with."""

from typing import List

import torch

_libraries: List[
    torch.library.Library
] = []  # torch forgets a definition when its Library is collected


def patch_torchvision() -> None:
    """Let ``import torchvision`` work where its compiled operators do not load (its wheel beside CPU torch).

    torchvision registers meta kernels for two operators that only its compiled library defines. We and mmpretrain use
    its Python transforms alone, so defining the two schemas is enough; where the operators exist nothing is done.
    """
    try:
        import torchvision

        return
    except RuntimeError as error:
        if 'torchvision::' not in str(error):
            raise
    library = torch.library.Library('torchvision', 'DEF')
    library.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
    library.define('qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
    _libraries.append(library)
    import torchvision  # noqa: F401
