"""Waterbirds: birds pasted on land and on water."""

from functools import cached_property
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

from ..io.errors import UserError
from ..io.text_file import read_text
from ..registry import DATASETS
from .few_shot import SPLITS
from .list_file import Listed, ListFileDataset, csv_rows, normalised

# Column of the list -> meaning of its values 0, 1, ...
VALUES = dict(y=('landbird', 'waterbird'), place=('land', 'water'), split=SPLITS)


@DATASETS.register_module()
class Waterbirds(ListFileDataset):
    """Waterbirds (Sagawa et al., Group DRO, ICLR 2020): species of CUB on backgrounds of Places.

    ``metadata.csv`` has, for each image, the columns ``img_filename`` (relative to its folder),
    ``y`` (0 landbird, 1 waterbird), ``place`` (0 land, 1 water) and ``split`` (0 train, 1 val,
    2 test). The group of an image is 2 y + place, as in
    https://github.com/kohpangwei/group_DRO, whose loader and script of the data set state the
    columns and values; https://github.com/p-lambda/wilds reads the same file.

    In the training split most landbirds are on land and most waterbirds on water; in the others
    half of each kind are on either place.

    Args:
        data_root, list_file: the list is ``data_root/list_file``.
        mask_root: an image has the size of its image of CUB-200-2011, so the segmentations of CUB
            (``.png``, see ``mask_suffix``) fit.
        others: see :class:`~fvgpt.datasets.list_file.ListFileDataset`.

    Raises:
        MissingFileError: the list or listed images do not exist.
        UserError: the list is invalid; names file, line and column.
    """

    groups = tuple(f'{bird} on {place}' for bird in VALUES['y'] for place in VALUES['place'])
    list_format = 'metadata.csv of the released data set'

    def read_list(self, path: Path) -> List[Listed]:
        """Read all rows of the list."""
        return [
            Listed(
                where=where,
                image=normalised(path, where, row['img_filename']),
                key=_number(path, where, row, 'y'),
                name=VALUES['y'][_number(path, where, row, 'y')],
                split=SPLITS[_number(path, where, row, 'split')],
                mask=None,
            )
            for where, row in _rows(path)
        ]

    def group(self, path: str) -> int:
        """2 y + place of the image ``path``, which is relative to ``data_root``."""
        return self._groups[path]

    @cached_property
    def _groups(self) -> Dict[str, int]:
        """Path of each image, relative to ``data_root`` -> its group."""
        file = Path(self.data_root) / self.list_file
        return {
            self._from_root(normalised(file, where, row['img_filename'])): (
                2 * _number(file, where, row, 'y') + _number(file, where, row, 'place')
            )
            for where, row in _rows(file)
        }

    def load_data_list(self) -> List[dict]:
        """As in the base class."""
        data_list = super().load_data_list()
        del self._groups  # no longer needed, and each loader worker gets a copy of this object
        return data_list


def _rows(path: Path) -> Iterator[Tuple[str, Dict[str, str]]]:
    return csv_rows(path, read_text(path), required=('img_filename', *VALUES))


def _number(path: Path, where: str, row: Dict[str, str], column: str) -> int:
    """A cell as the number of one of the column's values."""
    number, values = row[column].strip(), VALUES[column]
    if not (number.isdecimal() and int(number) < len(values)):
        expected = ', '.join(f'{i} ({value})' for i, value in enumerate(values))
        raise UserError(f'{path}, {where}: {column} is {number!r}, expected {expected}')
    return int(number)
