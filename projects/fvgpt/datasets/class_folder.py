"""Data sets given by a folder of class folders: ImageNet, or anybody's own images."""

import os
import random
from functools import lru_cache
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from mmpretrain.datasets.categories import IMAGENET_SIMPLE_CATEGORIES
from timm.data import ImageNetInfo

from ..io.errors import UserError
from ..io.text_file import read_text
from ..registry import DATASETS
from .few_shot import FewShotDataset, require
from .image_lists import Sample, files_below

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff', '.ppm', '.pgm')


@DATASETS.register_module()
class ClassFolderDataset(FewShotDataset):
    """One folder a class, image files anywhere below it; labels follow the sorted folder names, numbers by their value.

    Args:
        img_dir: folder with the class folders, relative to ``data_root``; or with one such folder a split.
        folders: folder below ``img_dir`` of each split, e.g. ``dict(train='train', test='val')``. Left out, all images
            lie in one tree and ``test_fraction`` of each class (drawn with a fixed seed) is the test split.
        test_fraction: see ``folders``.
        class_names: folder name -> class name where they differ; ``'imagenet'`` for folders that are ImageNet's wnids,
            or its class numbers 0 to 999 (all or some of them); or a file of lines
            ``<folder> <class name>``, relative to ``data_root``.
        num_classes: number of class folders that there must be; None for any.
        others: see :class:`~fvgpt.datasets.few_shot.FewShotDataset`.
    """

    not_classes: Tuple[str, ...] = ()  # names of folders, in lower case, that hold something else

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
        """The folder of each split must be there, and the file of class names."""
        super().check_files(root)
        require(
            root / self.img_dir,
            'img_dir',
            'the folder with the class folders, relative to data_root',
        )
        if self.folders is not None:
            if self.split not in self.folders:
                raise UserError(
                    f'folders={self.folders} has no folder for the split {self.split!r}'
                )
            require(
                root / self.img_dir / self.folders[self.split],
                'folders',
                'the folder of each split below img_dir',
            )
        if isinstance(self.given_names, str) and self.given_names != 'imagenet':
            require(
                root / self.given_names,
                'class_names',
                "'imagenet', or a file of lines '<folder> <class name>'",
            )

    def _tree(self, split: str) -> Path:
        return Path(self.data_root) / self.img_dir / (self.folders[split] if self.folders else '')

    def _class_folders(self, split: str) -> List[str]:
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
        """Labels are positions in the sorted folders, so every split's tree must have the same ones."""
        for split in self.folders or ():
            if split != self.split and self._tree(split).is_dir():
                other = set(folders).symmetric_difference(self._class_folders(split))
                if other:
                    raise UserError(
                        f'{self._tree(self.split)} and {self._tree(split)} must have the same class folders; '
                        f'{min(other)!r} is in one of them only'
                    )

    def class_names_by_label(self) -> Dict[int, str]:
        """The names of the sorted folders.

        Raises:
            ValueError: their number is not ``num_classes``, splits have different ones, or one has no name.
        """
        folders = self._class_folders(self.split)
        names = self._names(folders)
        if self.num_classes not in (None, len(folders)):
            raise UserError(
                f'{self._tree(self.split)} has {len(folders)} class folders, there must be {self.num_classes}'
            )
        self._check_same_classes(folders)
        return dict(enumerate(names))

    def _names(self, folders: List[str]) -> List[str]:
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
        """The images below the class folders of a split, or the drawn share of one tree."""
        if self.folders is not None and split not in self.folders:
            return []
        found: List[Sample] = []
        for label, name in enumerate(self._class_folders(split)):
            folder = self._tree(split) / name
            files = sorted(
                f
                for f in files_below(folder, Path(self.data_root))
                if f.lower().endswith(IMAGE_SUFFIXES)
            )
            if not files:
                raise UserError(
                    f'{folder} has no images ({", ".join(IMAGE_SUFFIXES)}); remove the folder or fill it'
                )
            if self.folders is None:
                files = share_of_class(files, split, self.test_fraction)
            found.extend(Sample(file, label) for file in files)
        return found


def share_of_class(files: List[str], split: str, test_fraction: float) -> List[str]:
    """The part of a class's sorted files that is its test split, or the rest, always the same.

    Raises:
        ValueError: there is one file only; names it.
    """
    if len(files) < 2:
        raise UserError(
            f'{files[0]} is the only image of its class; a train and a test split need two'
        )
    shuffled = random.Random(0).sample(files, len(files))
    tests = min(max(1, round(test_fraction * len(files))), len(files) - 1)
    return sorted(shuffled[:tests] if split == 'test' else shuffled[tests:])


def imagenet_names(folders: List[str], place: Path) -> List[str]:
    """ImageNet's class names of folders that are called by wnid or by class number.

    Raises:
        ValueError: names a folder of ``place`` that is neither.
    """
    names = _names_by_folder()
    unknown = [folder for folder in folders if folder not in names]
    if unknown:
        raise UserError(
            f'{place} has the folder {unknown[0]!r}, which is no class of ImageNet: neither a wnid such as '
            'n01440764 nor a number from 0 to 999; move it elsewhere'
        )
    return [names[folder] for folder in folders]


@lru_cache
def _names_by_folder() -> Dict[str, str]:
    names = dict(zip(ImageNetInfo().label_names(), IMAGENET_SIMPLE_CATEGORIES))
    names.update((str(number), name) for number, name in enumerate(IMAGENET_SIMPLE_CATEGORIES))
    return names
