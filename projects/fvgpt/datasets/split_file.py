"""Data sets given by a few-shot split file (``split_zhou_<Name>.json``), the public format of the field."""
import json
from pathlib import Path
from typing import Dict, List

from ..registry import DATASETS
from .few_shot import FewShotDataset, Sample, check_relative, require


@DATASETS.register_module()
class SplitFileDataset(FewShotDataset):
    """Images listed as ``{"train": [[path, label, class name], ...], "val": ..., "test": ...}`` (method section 4.1).

    Args:
        split_file: the JSON file, relative to ``data_root``.
        img_dir: folder that the paths in it are relative to, itself relative to ``data_root``.
        others: see :class:`~fvgpt.datasets.few_shot.FewShotDataset`.
    """

    def __init__(self, data_root: str, split_file: str, img_dir: str, **kwargs):
        self.split_file, self.img_dir = split_file, img_dir
        super().__init__(data_root=data_root, **kwargs)

    def check_files(self, root: Path) -> None:
        super().check_files(root)
        require(root / self.split_file, 'split_file', 'a few-shot split file relative to data_root')
        require(root / self.img_dir, 'img_dir', 'the image folder relative to data_root')

    def _content(self) -> Dict[str, List[list]]:
        path = Path(self.data_root) / self.split_file
        try:
            content = json.loads(path.read_text(encoding='utf-8'))
        except ValueError as error:
            raise ValueError(f'{path} is not valid JSON: {error}') from error
        for split in ('train', 'test'):
            if not isinstance(content, dict) or not isinstance(content.get(split), list):
                raise ValueError(f'{path} has no list {split!r}; expected {{"train": [[path, label, class name], ...], '
                                 '"val": [...], "test": [...]}')
        return content

    def class_names_by_label(self) -> Dict[int, str]:
        content, names = self._content(), {}
        for split in ('train', 'val', 'test'):
            for entry in content.get(split, []):
                self._check_entry(entry, split)
                if names.setdefault(entry[1], entry[2]) != entry[2]:
                    raise ValueError(f'{self.split_file} calls label {entry[1]} both {names[entry[1]]!r} and {entry[2]!r}')
        return names

    def _check_entry(self, entry, split: str) -> None:
        if not (isinstance(entry, list) and len(entry) == 3 and isinstance(entry[0], str) and isinstance(entry[1], int)
                and isinstance(entry[2], str)):
            raise ValueError(f'{self.split_file} has the entry {entry!r} in {split!r}; expected [path, label, class name]')

    def samples(self, split: str) -> List[Sample]:
        entries = self._content().get(split, [])
        return [Sample(f'{self.img_dir}/{check_relative(path, self.split_file)}', label) for path, label, _ in entries]
