"""Which steps of a pipeline give the same output for the same image, whatever the random state."""

from typing import Any, Iterator, List

import mmcv.transforms as mmcv_transforms
import mmengine.dataset
import mmpretrain.datasets.transforms as mmpretrain_transforms
import torchvision.transforms as torchvision_transforms
from mmpretrain.datasets.transforms.processing import TorchVisonTransformWrapper

from .load_image import LoadImage
from .transforms import LoadForegroundMask, PackForegroundInputs
from .views import ShowView
from .wrapped import innermost

DETERMINISTIC = {
    LoadImage,
    LoadForegroundMask,
    PackForegroundInputs,
    mmcv_transforms.CenterCrop,
    mmcv_transforms.ImageToTensor,
    mmcv_transforms.LoadAnnotations,
    mmcv_transforms.LoadImageFromFile,
    mmcv_transforms.Normalize,
    mmcv_transforms.Pad,
    mmcv_transforms.Resize,
    mmcv_transforms.ToTensor,
    mmpretrain_transforms.Collect,
    mmpretrain_transforms.EfficientNetCenterCrop,
    mmpretrain_transforms.NumpyToPIL,
    mmpretrain_transforms.PackInputs,
    mmpretrain_transforms.PILToNumpy,
    mmpretrain_transforms.ResizeEdge,
    mmpretrain_transforms.Transpose,
    torchvision_transforms.CenterCrop,
    torchvision_transforms.ConvertImageDtype,
    torchvision_transforms.Grayscale,
    torchvision_transforms.Normalize,
    torchvision_transforms.Pad,
    torchvision_transforms.PILToTensor,
    torchvision_transforms.Resize,
    torchvision_transforms.ToPILImage,
    torchvision_transforms.ToTensor,
}
"""Types of steps that draw no random numbers. Sub-classes do not count: they may draw some."""

_WRAPPERS = {
    ShowView,
    mmcv_transforms.Compose,
    mmcv_transforms.KeyMapper,
    mmcv_transforms.TransformBroadcaster,
    mmengine.dataset.Compose,
    torchvision_transforms.Compose,
}  # they apply all of the steps inside them, in order


def random_steps(dataset: Any) -> List[str]:
    """Names of the steps of a data set's pipeline that are not known to be deterministic.

    Steps inside ``Compose``, ``KeyMapper``, ``TransformBroadcaster`` and mmpretrain's wrapper of
    torchvision's transforms are looked at one by one. A data set without a pipeline of its own,
    such as ``ConcatDataset``, is named itself.
    """
    dataset = innermost(dataset)
    if not hasattr(dataset, 'pipeline'):
        return [type(dataset).__name__]
    return [
        type(step).__name__
        for step in _single_steps(dataset.pipeline)
        if type(step) not in DETERMINISTIC
    ]


def _single_steps(step: Any) -> Iterator[Any]:
    """The steps that a step consists of, or the step itself if it is not a wrapper."""
    if type(step) is TorchVisonTransformWrapper:
        yield from _single_steps(step.t)
    elif isinstance(step, (list, tuple)):
        for part in step:
            yield from _single_steps(part)
    elif type(step) in _WRAPPERS:
        yield from _single_steps(step.transforms)
    else:
        yield step
