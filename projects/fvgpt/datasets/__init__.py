"""Data sets and transforms with foreground masks, few-shot sampling and class subsets."""

from .aircraft import AircraftDataset
from .batch_sampler import WholeBatchSampler
from .class_folder import ClassFolderDataset
from .class_subsets import subset_labels
from .counter_animal import CounterAnimal
from .feature_file import FeatureFile
from .few_shot import FewShotDataset
from .few_shot_sampling import draw_subset, sample_shots
from .few_shot_wrapper import FewShotWrapper
from .image_lists import Sample
from .imagenet_9 import ImageNet9
from .imagenet_s import ImageNetS
from .list_file import ListFileDataset
from .load_image import LoadImage, read_image
from .other_images_dataset import OtherImagesDataset
from .own_images import OwnImages
from .paste_foreground import PasteForeground
from .precomputed_features import PrecomputedFeatures
from .quickstart_world import QuickstartWorld
from .remove_object import remove_object
from .split_file import SplitFileDataset
from .transforms import LoadForegroundMask, PackForegroundInputs, PairedRandomResizedCrop
from .views import VIEWS, ShowView
from .waterbirds import Waterbirds

__all__ = [
    'AircraftDataset',
    'ClassFolderDataset',
    'CounterAnimal',
    'FeatureFile',
    'FewShotDataset',
    'FewShotWrapper',
    'ImageNet9',
    'ImageNetS',
    'ListFileDataset',
    'LoadForegroundMask',
    'LoadImage',
    'OtherImagesDataset',
    'OwnImages',
    'PackForegroundInputs',
    'PairedRandomResizedCrop',
    'PasteForeground',
    'PrecomputedFeatures',
    'QuickstartWorld',
    'Sample',
    'ShowView',
    'SplitFileDataset',
    'VIEWS',
    'Waterbirds',
    'WholeBatchSampler',
    'draw_subset',
    'read_image',
    'remove_object',
    'sample_shots',
    'subset_labels',
]
