"""CounterAnimal: animals on common and on unusual backgrounds."""

from pathlib import Path, PurePosixPath
from typing import Dict, List, Optional

from mmpretrain.datasets.categories import IMAGENET_SIMPLE_CATEGORIES

from ..io.errors import UserError
from ..registry import DATASETS
from .class_folder import ClassFolderDataset
from .image_lists import Sample


@DATASETS.register_module()
class CounterAnimal(ClassFolderDataset):
    """CounterAnimal (Wang et al., NeurIPS 2024, arXiv 2403.11497), for tests only.

    Class folders are ``<class number of ImageNet> <name>``; each contains a folder
    ``common-<background>`` and a folder ``counter-<background>``, which are the groups 0 and 1.
    The classes are all 1000 of ImageNet, among which the images of 45 animals are classified ("1
    vs. 1000" in the paper). The layout was read from three public loaders of the release and the
    report of a reproduction, because the authors' own repository was not available.

    Args:
        only: ``common`` or ``counter``, for the images of one group; None for all.
        num_classes: required number of class folders; None accepts any.
        others: see :class:`~fvgpt.datasets.class_folder.ClassFolderDataset`; ``class_names`` is not
            used.

    Raises:
        UserError: ``only`` is unknown, or a folder has no class number, or no folder of a group.
    """

    groups = ('common', 'counter')

    def __init__(self, data_root: str, only: Optional[str] = None, **kwargs):
        if only not in (None, *self.groups):
            raise UserError(f'only must be one of {", ".join(self.groups)}, or None, not {only!r}')
        self.only = only
        super().__init__(data_root=data_root, **kwargs)

    def class_names_by_label(self) -> Dict[int, str]:
        """Class number -> class name of ImageNet's classes.

        Raises:
            UserError: the number of class folders is not ``num_classes``.
        """
        self._check_number_of_classes(self._class_folders(self.split))
        return dict(enumerate(IMAGENET_SIMPLE_CATEGORIES))

    def samples(self, split: str) -> List[Sample]:
        """The images of the groups, class by class."""
        return [
            Sample(file, label)
            for name in self._class_folders(split)
            for label in [self._label(self._tree(split) / name)]
            for folder in self._group_folders(self._tree(split) / name)
            for file in self._image_files(folder)
        ]

    def group(self, path: str) -> int:
        """0 for an image in a folder ``common-...``, 1 in ``counter-...``."""
        return self.groups.index(PurePosixPath(path).parent.name.split('-')[0])

    @staticmethod
    def _label(folder: Path) -> int:
        number = folder.name.split()[0]
        if not number.isdecimal() or int(number) >= len(IMAGENET_SIMPLE_CATEGORIES):
            raise UserError(
                f'{folder} is not named <class number of ImageNet> <name>, such as '
                '"10 brambling"; move it elsewhere'
            )
        return int(number)

    def _group_folders(self, folder: Path) -> List[Path]:
        """The folders of all groups in a class folder."""
        inside = sorted(path for path in folder.iterdir() if path.is_dir())
        found = {
            name: [path for path in inside if path.name.startswith(f'{name}-')]
            for name in self.groups
        }
        for name, folders in found.items():
            if not folders:
                raise UserError(f'{folder} has no folder {name}-<background>')
        wanted = [self.only] if self.only else self.groups
        return [path for name in wanted for path in found[name]]
