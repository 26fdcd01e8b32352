"""FGVCAircraft, which publishes its splits as text files."""

from pathlib import Path
from typing import Dict, List

from ..io.errors import UserError
from ..io.text_file import read_text
from ..registry import DATASETS
from .few_shot import SPLITS, FewShotDataset, require
from .image_lists import Sample, check_relative

LISTS = ('variants.txt', *(f'images_variant_{split}.txt' for split in SPLITS))


@DATASETS.register_module()
class AircraftDataset(FewShotDataset):
    """The official variant lists: ``variants.txt`` names the classes in label order, and ``images_variant_<split>.txt``
    has lines ``<image number> <variant>``.

    Args:
        list_dir: folder of the text files, relative to ``data_root``.
        img_dir: folder of the images ``<image number>.jpg``, relative to ``data_root``.
        others: see :class:`~fvgpt.datasets.few_shot.FewShotDataset`.
    """

    def __init__(
        self,
        data_root: str,
        list_dir: str = 'fgvc_aircraft',
        img_dir: str = 'fgvc_aircraft/images',
        **kwargs,
    ):
        self.list_dir, self.img_dir = list_dir, img_dir
        super().__init__(data_root=data_root, **kwargs)

    def check_files(self, root: Path) -> None:
        """The lists and the images must be there."""
        super().check_files(root)
        for name in LISTS:
            require(
                root / self.list_dir / name,
                'list_dir',
                "the folder of FGVCAircraft's text files relative to data_root",
            )
        require(root / self.img_dir, 'img_dir', 'the image folder relative to data_root')

    def _lines(self, name: str) -> List[str]:
        lines = read_text(Path(self.data_root) / self.list_dir / name).splitlines()
        return [line.strip() for line in lines if line.strip()]

    def class_names_by_label(self) -> Dict[int, str]:
        """The lines of ``variants.txt``."""
        return dict(enumerate(self._lines('variants.txt')))

    def samples(self, split: str) -> List[Sample]:
        """The lines of ``images_variant_<split>.txt``.

        Raises:
            ValueError: a line has no variant of the list.
        """
        labels = {name: label for label, name in self.class_names_by_label().items()}
        source, found = f'images_variant_{split}.txt', []
        for line in self._lines(source):
            number, _, variant = line.partition(' ')
            if variant not in labels:
                raise UserError(
                    f'{source} has the line {line!r}; expected <image number> <variant>, with a variant of '
                    'variants.txt'
                )
            found.append(
                Sample(f'{self.img_dir}/{check_relative(number, source)}.jpg', labels[variant])
            )
        return found
