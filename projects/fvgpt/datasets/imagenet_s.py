"""ImageNet-S: images of ImageNet with masks drawn by people."""

from functools import cached_property
from pathlib import PurePosixPath
from typing import Dict

from ..registry import DATASETS
from .class_folder import ClassFolderDataset
from .mask_check import ClassMask


@DATASETS.register_module()
class ImageNetS(ClassFolderDataset):
    """ImageNet-S (Gao et al., Large-scale Unsupervised Semantic Segmentation, TPAMI 2022).

    Class folders are named by wnid. The masks of a folder ``validation`` are in
    ``validation-segmentation`` beside it, at the path of their image with the suffix ``.png``. A
    mask is an RGB image of class numbers R + 256 G: 1 to C in the order of the sorted wnids, 0 for
    other things, 1000 for parts to be ignored. Its foreground are the pixels of the image's own
    class; ignored parts count as background. Folders, file names, numbers and the form of the masks
    are stated in the README and the preparation scripts of https://github.com/LUSSeg/ImageNet-S.

    ``folders=dict(train='train-semi', test='validation')`` trains on the ten images per class that
    have masks.

    Args:
        mask_root: any value loads these masks; its text is not used.
        others: see :class:`~fvgpt.datasets.class_folder.ClassFolderDataset`. ``mask_suffix`` is not
            used.
    """

    def mask_folder(self) -> str:
        """Folder of the masks of the split, relative to ``data_root``."""
        images = PurePosixPath(self.img_dir, (self.folders or {}).get(self.split, ''))
        return str(images.with_name(f'{images.name}-segmentation'))

    def mask_path(self, path: str) -> str:
        """Path of the mask of the image ``path``; both are relative to ``data_root``."""
        image = PurePosixPath(path)
        return str(PurePosixPath(self.mask_folder(), image.parent.name, f'{image.stem}.png'))

    def mask_file(self, path: str) -> ClassMask:
        """The mask of the image ``path``, with the number of the class that its folder names."""
        number = self._class_numbers[PurePosixPath(path).parent.name]
        return ClassMask(super().mask_file(path), number)

    @cached_property
    def _class_numbers(self) -> Dict[str, int]:
        """Name of a class folder -> number of its class in the masks."""
        return {name: number for number, name in enumerate(self._class_folders(self.split), 1)}
