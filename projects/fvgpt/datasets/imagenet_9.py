"""ImageNet-9 (Backgrounds Challenge): objects with their own, other, or no backgrounds."""

from functools import lru_cache
from itertools import chain
from typing import Dict, List, Tuple

from mmpretrain.datasets.categories import IMAGENET_SIMPLE_CATEGORIES

from ..io.errors import UserError
from ..names import Subset
from ..registry import DATASETS
from .class_folder import ClassFolderDataset

NAMES = ('imagenet', 'superclasses')

# Folder of each superclass -> (first, last) class numbers of ImageNet, both included
_CLASSES: Dict[str, List[Tuple[int, int]]] = {
    '00_dog': [(151, 170), (173, 268)],
    '01_bird': [(7, 24), (87, 100), (127, 146)],
    '02_wheeled vehicle': [
        *((407, 408), (428, 428), (436, 436), (444, 444), (468, 468), (511, 511), (547, 547)),
        *((555, 555), (561, 561), (565, 565), (569, 569), (573, 573), (586, 586), (603, 603)),
        *((609, 609), (612, 612), (627, 627), (656, 656), (661, 661), (665, 665), (670, 671)),
        *((675, 675), (690, 690), (705, 705), (717, 717), (734, 734), (751, 751), (757, 757)),
        *((791, 791), (802, 803), (817, 817), (820, 820), (829, 829), (847, 847), (864, 864)),
        *((866, 867), (870, 870), (880, 880)),
    ],
    '03_reptile': [(33, 68)],
    '04_carnivore': [(269, 280), (286, 299), (356, 362), (387, 388)],
    '05_insect': [(300, 326)],
    '06_musical instrument': [
        *((401, 402), (420, 420), (432, 432), (486, 486), (494, 494), (513, 513), (541, 541)),
        *((546, 546), (558, 558), (566, 566), (577, 577), (579, 579), (593, 594), (641, 642)),
        *((683, 684), (687, 687), (699, 699), (776, 776), (822, 822), (875, 875), (881, 881)),
        (889, 889),
    ],
    '07_primate': [(365, 384)],
    '08_fish': [(0, 6), (389, 397)],
}


@lru_cache
def superclasses() -> Tuple[int, ...]:
    """Superclass (0 to 8) of each of ImageNet's 1000 classes; -1 for the 630 classes without one.

    These are the assignments of ``in_to_in9.json`` of the Backgrounds Challenge.
    """
    numbers = [-1] * len(IMAGENET_SIMPLE_CATEGORIES)
    for superclass, ranges in enumerate(_CLASSES.values()):
        for number in chain(*(range(first, last + 1) for first, last in ranges)):
            numbers[number] = superclass
    return tuple(numbers)


@DATASETS.register_module()
class ImageNet9(ClassFolderDataset):
    """One variation of ImageNet-9 (Xiao et al., Noise or Signal, ICLR 2021), for tests only.

    The release has a folder for each variation (``original``, ``mixed_same``, ``mixed_rand``,
    ``mixed_next``, ``only_fg``, ``no_fg``, ``only_bg_b``, ``only_bg_t``), with class folders
    ``val/00_dog`` to ``val/08_fish``. BG-gap is the accuracy on ``mixed_same`` minus that on
    ``mixed_rand``. Folders ``<variation>/val`` and BG-gap are those of the challenge's evaluation
    code and README (https://github.com/MadryLab/backgrounds_challenge); the names of the class
    folders are those that several public users of the data list.

    Args:
        names: ``imagenet``: the classes are those of ImageNet, and a prediction counts as the
            superclass of its class, see :func:`superclasses`; classes without a superclass are
            always wrong. So the challenge evaluates models with 1000 classes. ``superclasses``:
            the classes are the nine superclasses by name, for zero-shot prediction.
        others: see :class:`~fvgpt.datasets.class_folder.ClassFolderDataset`.

    Labels are superclasses in both cases. With ``imagenet`` the metainfo contains ``superclasses``,
    which :class:`~fvgpt.evaluation.SubsetAccuracy` reads.

    Raises:
        UserError: ``names`` is unknown, a folder is not a class of ImageNet-9, or a subset of the
            classes is asked for with ``names='imagenet'``.
    """

    def __init__(self, data_root: str, names: str = 'imagenet', **kwargs):
        if names not in NAMES:
            raise UserError(f'names must be one of {", ".join(NAMES)}, not {names!r}')
        if names == 'imagenet' and kwargs.get('subset', Subset.ALL) != Subset.ALL:
            raise UserError(
                "ImageNet9 with names='imagenet' has no base and new half; set subset='all' or "
                "names='superclasses'"
            )
        self.names = names
        super().__init__(data_root=data_root, **kwargs)

    def _names(self, folders: List[str]) -> List[str]:
        unknown = [folder for folder in folders if folder not in _CLASSES]
        if unknown:
            raise UserError(
                f'{self._tree(self.split)} has the folder {unknown[0]!r}, which is not a class of '
                f'ImageNet-9 ({", ".join(_CLASSES)})'
            )
        return [folder.split('_')[1] for folder in folders]

    def load_data_list(self) -> List[dict]:
        """As in the base class, with ImageNet's class names if ``names`` is ``imagenet``."""
        data_list = super().load_data_list()
        if self.names == 'imagenet':
            self._metainfo.update(
                classes=tuple(IMAGENET_SIMPLE_CATEGORIES), superclasses=superclasses()
            )
        return data_list
