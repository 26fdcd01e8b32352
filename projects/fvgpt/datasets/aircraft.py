"""FGVCAircraft, whose splits are published as text files."""

from pathlib import Path
from typing import Dict, List

from ..io.errors import UserError
from ..io.require_path import require_path
from ..io.text_file import read_text
from ..registry import DATASETS
from .few_shot import SPLITS, FewShotDataset
from .image_lists import Sample, check_relative

LISTS = ('variants.txt', *(f'images_variant_{split}.txt' for split in SPLITS))


@DATASETS.register_module()
class AircraftDataset(FewShotDataset):
    """FGVCAircraft, read from the official lists of variants.

    ``variants.txt`` contains the classes in label order, ``images_variant_<split>.txt`` lines
    ``<image number> <variant>``.

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
        """Check that the lists and the image folder exist."""
        super().check_files(root)
        for name in LISTS:
            require_path(
                root / self.list_dir / name,
                'list_dir',
                "the folder of FGVCAircraft's text files relative to data_root",
            )
        require_path(root / self.img_dir, 'img_dir', 'the image folder relative to data_root')

    def _lines(self, name: str) -> List[str]:
        lines = read_text(Path(self.data_root) / self.list_dir / name).splitlines()
        return [line.strip() for line in lines if line.strip()]

    def class_names_by_label(self) -> Dict[int, str]:
        """Line number -> line of ``variants.txt``."""
        return dict(enumerate(self._lines('variants.txt')))

    def samples(self, split: str) -> List[Sample]:
        """The images listed in ``images_variant_<split>.txt``.

        Raises:
            UserError: a line has no variant of ``variants.txt``.
        """
        labels = {name: label for label, name in self.class_names_by_label().items()}
        source, samples = f'images_variant_{split}.txt', []
        for line in self._lines(source):
            number, _, variant = line.partition(' ')
            if variant not in labels:
                raise UserError(
                    f'{source} has the line {line!r}; expected <image number> <variant>, with a '
                    'variant of variants.txt'
                )
            path = f'{self.img_dir}/{check_relative(number, source)}.jpg'
            samples.append(Sample(path, labels[variant]))
        return samples
