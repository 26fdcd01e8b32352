"""Data sets given by a folder of class folders, such as ImageNet."""

import os
import random
from functools import lru_cache
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from mmpretrain.datasets.categories import IMAGENET_SIMPLE_CATEGORIES
from timm.data import ImageNetInfo

from ..io.errors import UserError
from ..io.require_path import require_path
from ..io.text_file import read_text
from ..registry import DATASETS
from .few_shot import FewShotDataset
from .image_lists import Sample, files_below

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff', '.ppm', '.pgm')


@DATASETS.register_module()
class ClassFolderDataset(FewShotDataset):
    """One folder per class, with image files anywhere in it.

    Labels follow the sorted folder names. If all names are numbers, they are sorted by value.

    Args:
        img_dir: folder that contains the class folders (or one folder of class folders per split),
            relative to ``data_root``.
        folders: folder of each split in ``img_dir``, e.g. ``dict(train='train', test='val')``.
            None: all images are in one tree, and ``test_fraction`` of each class, drawn with a
            fixed seed, is the test split.
        test_fraction: see ``folders``.
        class_names: class names that differ from the folder names: a dict folder name -> class
            name; or ``'imagenet'`` if the folders are named by ImageNet's wnids or class numbers 0
            to 999 (all or some of them); or a file of lines ``<folder> <class name>``, relative to
            ``data_root``.
        num_classes: required number of class folders; None accepts any.
        others: see :class:`~fvgpt.datasets.few_shot.FewShotDataset`.
    """

    not_classes: Tuple[str, ...] = ()  # lower-case names of folders that are not class folders

    def __init__(
        self,
        data_root: str,
        img_dir: str = '',
        folders: Optional[Dict[str, str]] = None,
        test_fraction: float = 0.3,
        class_names=None,
        num_classes: Optional[int] = None,
        **kwargs,
    ):
        if not 0 < test_fraction < 1:
            raise UserError(f'test_fraction must lie between 0 and 1, not {test_fraction}')
        self.img_dir, self.folders, self.test_fraction = img_dir, folders, test_fraction
        self.given_names, self.num_classes = class_names, num_classes
        super().__init__(data_root=data_root, **kwargs)

    def check_files(self, root: Path) -> None:
        """Check that the folder of the split and the file of class names exist."""
        super().check_files(root)
        require_path(
            root / self.img_dir,
            'img_dir',
            'the folder with the class folders, relative to data_root',
        )
        if self.folders is not None:
            if self.split not in self.folders:
                raise UserError(
                    f'folders={self.folders} has no folder for the split {self.split!r}'
                )
            require_path(
                root / self.img_dir / self.folders[self.split],
                'folders',
                'the folder of each split in img_dir',
            )
        if isinstance(self.given_names, str) and self.given_names != 'imagenet':
            require_path(
                root / self.given_names,
                'class_names',
                "'imagenet', or a file of lines '<folder> <class name>'",
            )

    def _tree(self, split: str) -> Path:
        """Folder that contains the class folders of a split."""
        return Path(self.data_root) / self.img_dir / (self.folders[split] if self.folders else '')

    def _class_folders(self, split: str) -> List[str]:
        """Names of the class folders of a split, in label order."""
        tree = self._tree(split)
        with os.scandir(tree) as entries:
            folders = [
                entry.name
                for entry in entries
                if entry.is_dir()
                and not entry.name.startswith('.')
                and entry.name.lower() not in self.not_classes
            ]
        if not folders:
            raise UserError(f'{tree} has no class folders')
        return sorted(folders, key=int if all(name.isdecimal() for name in folders) else None)

    def _check_same_classes(self, folders: List[str]) -> None:
        """Check that all splits have the same class folders, because labels are their positions."""
        for split in self.folders or ():
            if split != self.split and self._tree(split).is_dir():
                other = set(folders).symmetric_difference(self._class_folders(split))
                if other:
                    raise UserError(
                        f'{self._tree(self.split)} and {self._tree(split)} must have the same '
                        f'class folders; {min(other)!r} is in one of them only'
                    )

    def class_names_by_label(self) -> Dict[int, str]:
        """Label -> class name of the sorted class folders.

        Raises:
            UserError: the number of folders is not ``num_classes``, the splits have different
                folders, or a folder has no class name.
        """
        folders = self._class_folders(self.split)
        names = self._names(folders)
        self._check_number_of_classes(folders)
        self._check_same_classes(folders)
        return dict(enumerate(names))

    def _check_number_of_classes(self, folders: List[str]) -> None:
        if self.num_classes not in (None, len(folders)):
            raise UserError(
                f'{self._tree(self.split)} has {len(folders)} class folders, expected '
                f'{self.num_classes}'
            )

    def _names(self, folders: List[str]) -> List[str]:
        """Class name of each folder."""
        given = self.given_names or {}
        if given == 'imagenet':
            return imagenet_names(folders, self._tree(self.split))
        if isinstance(given, str):
            lines = read_text(Path(self.data_root) / given).splitlines()
            given = dict(line.strip().split(' ', 1) for line in lines if ' ' in line.strip())
            unnamed = [folder for folder in folders if folder not in given]
            if unnamed:
                raise UserError(f'{self.given_names} has no name for the folder {unnamed[0]!r}')
        return [given.get(folder, folder) for folder in folders]

    def samples(self, split: str) -> List[Sample]:
        """The images of a split: those in its folder, or its share of the single tree.

        Raises:
            UserError: a class folder contains no images.
        """
        if self.folders is not None and split not in self.folders:
            return []
        samples: List[Sample] = []
        for label, name in enumerate(self._class_folders(split)):
            files = self._image_files(self._tree(split) / name)
            if self.folders is None:
                files = share_of_class(files, split, self.test_fraction)
            samples.extend(Sample(file, label) for file in files)
        return samples

    def _image_files(self, folder: Path) -> List[str]:
        """Sorted paths of the images in a class folder, relative to the data root."""
        files = sorted(
            file
            for file in files_below(folder, Path(self.data_root))
            if file.lower().endswith(IMAGE_SUFFIXES)
        )
        if not files:
            raise UserError(
                f'{folder} has no images ({", ".join(IMAGE_SUFFIXES)}); '
                'remove the folder or fill it'
            )
        return files


def share_of_class(files: List[str], split: str, test_fraction: float) -> List[str]:
    """The files of a class that belong to a split, drawn with a fixed seed.

    Args:
        files: all files of the class, sorted.
        split: ``test`` returns about ``test_fraction`` of the files (at least one, not all), any
            other split the rest.
        test_fraction: between 0 and 1.

    Raises:
        UserError: the class has only one file; names it.
    """
    if len(files) < 2:
        raise UserError(
            f'{files[0]} is the only image of its class; a train and a test split need two'
        )
    shuffled = random.Random(0).sample(files, len(files))
    num_test = min(max(1, round(test_fraction * len(files))), len(files) - 1)
    return sorted(shuffled[:num_test] if split == 'test' else shuffled[num_test:])


def imagenet_names(folders: List[str], place: Path) -> List[str]:
    """ImageNet's class names of folders that are named by wnid or by class number.

    Args:
        folders: folder names.
        place: folder that contains them, for the message.

    Raises:
        UserError: a folder name is neither; names it.
    """
    names = _imagenet_names_by_folder()
    unknown = [folder for folder in folders if folder not in names]
    if unknown:
        raise UserError(
            f'{place} has the folder {unknown[0]!r}, which is not a class of ImageNet: neither a '
            'wnid such as n01440764 nor a number from 0 to 999; move it elsewhere'
        )
    return [names[folder] for folder in folders]


@lru_cache
def _imagenet_names_by_folder() -> Dict[str, str]:
    names = dict(zip(ImageNetInfo().label_names(), IMAGENET_SIMPLE_CATEGORIES))
    names.update((str(number), name) for number, name in enumerate(IMAGENET_SIMPLE_CATEGORIES))
    return names
