"""Data sets given by a few-shot split file (``split_zhou_<Name>.json``), CoOp's public format."""

from functools import cached_property
from pathlib import Path
from typing import Dict, List

from ..io.errors import UserError
from ..io.require_path import require_path
from ..registry import DATASETS
from .few_shot import FewShotDataset
from .image_lists import Entry, Sample, read_lists


@DATASETS.register_module()
class SplitFileDataset(FewShotDataset):
    """Images listed as ``{"train": [[path, label, class name], ...], "val": ..., "test": ...}``.

    This is the format of the split files that the authors of CoOp publish.

    Args:
        split_file: the JSON file, relative to ``data_root``.
        img_dir: folder that the paths in the file are relative to, relative to ``data_root``.
        others: see :class:`~fvgpt.datasets.few_shot.FewShotDataset`.
    """

    def __init__(self, data_root: str, split_file: str, img_dir: str, **kwargs):
        self.split_file, self.img_dir = split_file, img_dir
        super().__init__(data_root=data_root, **kwargs)

    def check_files(self, root: Path) -> None:
        """Check that the split file and the image folder exist."""
        super().check_files(root)
        require_path(
            root / self.split_file, 'split_file', 'a few-shot split file relative to data_root'
        )
        require_path(root / self.img_dir, 'img_dir', 'the image folder relative to data_root')

    @cached_property
    def _lists(self) -> Dict[str, List[Entry]]:
        return read_lists(Path(self.data_root) / self.split_file, required=('train', 'test'))

    def load_data_list(self) -> List[dict]:
        data_list = super().load_data_list()
        del self._lists  # no longer needed, and each loader worker gets a copy of this object
        return data_list

    def class_names_by_label(self) -> Dict[int, str]:
        """Label -> class name, from the split file.

        Raises:
            UserError: the file has two names for one label.
        """
        names: Dict[int, str] = {}
        for entries in self._lists.values():
            for _, label, name in entries:
                if names.setdefault(label, name) != name:
                    raise UserError(
                        f'{self.split_file} calls label {label} both {names[label]!r} and {name!r}'
                    )
        return names

    def samples(self, split: str) -> List[Sample]:
        """The images that the file lists for a split."""
        return [Sample(f'{self.img_dir}/{path}', label) for path, label, _ in self._lists[split]]
