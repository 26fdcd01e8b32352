from .class_folder import ClassFolderDataset
from .few_shot import FewShotDataset, Sample, sample_shots, subset_labels
from .quickstart import QuickstartWorld
from .split_file import SplitFileDataset
from .transforms import LoadForegroundMask, PackForegroundInputs, PairedRandomResizedCrop
from .wrapped import FewShotWrapper

__all__ = ['ClassFolderDataset', 'FewShotDataset', 'FewShotWrapper', 'LoadForegroundMask', 'PackForegroundInputs',
           'PairedRandomResizedCrop', 'QuickstartWorld', 'Sample', 'SplitFileDataset', 'sample_shots', 'subset_labels']
