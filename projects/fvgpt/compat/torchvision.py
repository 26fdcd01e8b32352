"""Change to torch for a torchvision that was built for another one."""

from typing import List

import torch

# kept for the life of the process: torch removes a definition when its Library is collected
_libraries: List[torch.library.Library] = []


def patch_torchvision() -> None:
    """Make ``import torchvision`` work if its compiled operators cannot be loaded.

    This happens with torchvision's CUDA wheel next to a CPU build of torch: on import, torchvision
    registers meta kernels for two operators that only its compiled library defines. fvgpt and
    mmpretrain use its Python transforms only, so it is enough to define the two schemas. If the
    operators exist, nothing is changed.
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
