"""Data sets given by a folder of class folders: ImageNet, or anybody's own images."""
import os
import random
from pathlib import Path
from typing import Dict, List, Optional

from mmpretrain.datasets.categories import IMAGENET_SIMPLE_CATEGORIES

from ..registry import DATASETS
from .few_shot import FewShotDataset, Sample, require

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff', '.ppm', '.pgm')


@DATASETS.register_module()
class ClassFolderDataset(FewShotDataset):
    """One folder a class, image files anywhere below it; labels follow the sorted folder names.

    Args:
        img_dir: folder with the class folders, relative to ``data_root``; or with one such folder a split.
        folders: folder below ``img_dir`` of each split, e.g. ``dict(train='train', test='val')``. Left out, all images
            lie in one tree and ``test_fraction`` of each class (drawn with a fixed seed) is the test split.
        test_fraction: see ``folders``.
        class_names: folder name -> class name where they differ; ``'imagenet'`` for ImageNet's 1000 wnid folders; or
            a file of lines ``<folder> <class name>``, relative to ``data_root``.
        others: see :class:`~fvgpt.datasets.few_shot.FewShotDataset`.
    """

    def __init__(self, data_root: str, img_dir: str = '', folders: Optional[Dict[str, str]] = None,
                 test_fraction: float = .3, class_names=None, **kwargs):
        if not 0 < test_fraction < 1:
            raise ValueError(f'test_fraction must lie between 0 and 1, not {test_fraction}')
        self.img_dir, self.folders, self.test_fraction = img_dir, folders, test_fraction
        self.given_names = class_names
        super().__init__(data_root=data_root, **kwargs)

    def check_files(self, root: Path) -> None:
        super().check_files(root)
        require(root / self.img_dir, 'img_dir', 'the folder with the class folders, relative to data_root')
        if self.folders is not None:
            if self.split not in self.folders:
                raise ValueError(f'folders={self.folders} has no folder for the split {self.split!r}')
            require(root / self.img_dir / self.folders[self.split], 'folders', 'the folder of each split below img_dir')
        if isinstance(self.given_names, str) and self.given_names != 'imagenet':
            require(root / self.given_names, 'class_names', "'imagenet', or a file of lines '<folder> <class name>'")

    def _tree(self, split: str) -> Path:
        return Path(self.data_root) / self.img_dir / (self.folders[split] if self.folders else '')

    def _class_folders(self) -> List[Path]:
        tree = self._tree(self.split)
        folders = sorted((p for p in tree.iterdir() if p.is_dir() and not p.name.startswith('.')), key=lambda p: p.name)
        if not folders:
            raise ValueError(f'{tree} has no class folders')
        return folders

    def class_names_by_label(self) -> Dict[int, str]:
        folders = [p.name for p in self._class_folders()]
        given = self.given_names or {}
        if given == 'imagenet':
            if len(folders) != len(IMAGENET_SIMPLE_CATEGORIES):
                raise ValueError(f'{self._tree(self.split)} has {len(folders)} class folders; ImageNet has '
                                 f'{len(IMAGENET_SIMPLE_CATEGORIES)}')
            return dict(enumerate(IMAGENET_SIMPLE_CATEGORIES))
        if isinstance(given, str):
            lines = (Path(self.data_root) / given).read_text(encoding='utf-8').splitlines()
            given = dict(line.strip().split(' ', 1) for line in lines if ' ' in line.strip())
            unnamed = [folder for folder in folders if folder not in given]
            if unnamed:
                raise ValueError(f'{self.given_names} has no name for the folder {unnamed[0]!r}')
        return {label: given.get(folder, folder) for label, folder in enumerate(folders)}

    def samples(self, split: str) -> List[Sample]:
        found = []
        for label, name in enumerate(p.name for p in self._class_folders()):
            folder = self._tree(split) / name
            # os.walk reads directories only; asking each of ImageNet's million files what it is takes minutes
            files = sorted(Path(os.path.relpath(os.path.join(place, file), self.data_root)).as_posix()
                           for place, _, names in os.walk(folder) for file in names
                           if file.lower().endswith(IMAGE_SUFFIXES))
            if not files:
                raise ValueError(f'{folder} has no images ({", ".join(IMAGE_SUFFIXES)}); remove the folder or fill it')
            if self.folders is None:
                files = self._share(files, split)
            found.extend(Sample(file, label) for file in files)
        return found

    def _share(self, files: List[str], split: str) -> List[str]:
        if len(files) < 2:
            raise ValueError(f'{files[0]} is the only image of its class; a train and a test split need two')
        shuffled = random.Random(0).sample(files, len(files))
        tests = min(max(1, round(self.test_fraction * len(files))), len(files) - 1)
        return sorted(shuffled[:tests] if split == 'test' else shuffled[tests:])
