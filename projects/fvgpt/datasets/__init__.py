"""Data sets, few-shot subsets and transforms, with foreground masks."""

from .aircraft import AircraftDataset
from .batch_sampler import WholeBatchSampler
from .class_folder import ClassFolderDataset
from .few_shot import FewShotDataset, subset_labels
from .image_lists import Sample, draw_subset, sample_shots
from .list_file import ListFileDataset
from .load_image import LoadImage, read_image
from .own_images import OwnImages
from .quickstart import QuickstartWorld
from .split_file import SplitFileDataset
from .transforms import LoadForegroundMask, PackForegroundInputs, PairedRandomResizedCrop
from .wrapped import FewShotWrapper

__all__ = [
    'AircraftDataset',
    'ClassFolderDataset',
    'FewShotDataset',
    'FewShotWrapper',
    'ListFileDataset',
    'LoadForegroundMask',
    'LoadImage',
    'OwnImages',
    'PackForegroundInputs',
    'PairedRandomResizedCrop',
    'QuickstartWorld',
    'Sample',
    'SplitFileDataset',
    'WholeBatchSampler',
    'draw_subset',
    'read_image',
    'sample_shots',
    'subset_labels',
]
