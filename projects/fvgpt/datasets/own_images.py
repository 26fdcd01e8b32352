"""A user's own images, given by their folder or list only."""

import logging
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from ..io.errors import UserError
from ..io.log_once import log_once
from ..registry import DATASETS
from .few_shot import FewShotDataset
from .image_lists import Sample
from .list_file import ListFileDataset
from .load_image import inspect_image
from .own_images_discovery import EXPECTED, MASK_FOLDERS, Masks, find_masks, find_source


@DATASETS.register_module()
class OwnImages(FewShotDataset):
    """A folder of class folders or a list of images, with or without masks.

    The kind of data is detected from what is stored at ``data_root``:

    - A ``.csv`` or ``.json`` file, or a folder that contains one such file: see
      :class:`~fvgpt.datasets.list_file.ListFileDataset`.
    - A folder with ``train`` and ``test`` (or ``val``, ``validation``): class folders in each.
    - Any other folder: class folders. ``test_fraction`` of each class is the test split; these are
      always the same images.

    Masks are expected in the folder ``mask`` or ``masks``, at the image's path relative to
    ``data_root``, with the suffix of the image or ``.png``.

    Args:
        data_root: the folder or list.
        test_fraction: see above.
        mask_root: ``auto`` for the rule above, or a folder of masks. None loads no masks.
        mask_suffix: suffix of the masks if it is neither that of the image nor ``.png``.
        missing_mask: ``full`` uses the whole image as foreground if it has no mask; ``error``
            raises an error.
        others: see :class:`~fvgpt.datasets.few_shot.FewShotDataset`.

    Raises:
        MissingFileError: the folder or list does not exist, or there is a mask folder that contains
            no mask of the training images.
        UserError: the folder has no class folders or images or only one class, the list is invalid,
            or files are not images.
    """

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        test_fraction: float = 0.3,
        mask_root: Optional[str] = None,
        mask_suffix: Optional[str] = None,
        missing_mask: str = 'full',
        **kwargs,
    ):
        given = Path(data_root).expanduser()
        self.source = find_source(
            given,
            split=split,
            test_fraction=test_fraction,
            missing_mask=missing_mask,
            lazy_init=True,
        )
        names = self.source.class_names_by_label()
        if len(names) < 2:
            raise UserError(
                f'{given} has one class, {names[0]!r}, and a classifier needs two; data_root must '
                f'be {EXPECTED}'
            )
        _log_found(given, self.source, len(names))
        self.has_masks = False
        shows_view = kwargs.get('view') is not None
        mask_root = mask_root or ('auto' if shows_view else None)
        if mask_root:
            masks = find_masks(self.source, mask_root, mask_suffix)
            self.has_masks = masks.found > 0
            if not shows_view:  # which says itself what it leaves out
                _log_masks(Path(self.source.data_root), split, masks)
            self.source.mask_root = masks.folder or MASK_FOLDERS[0]
            self.source.mask_suffix = masks.suffix
            mask_root, mask_suffix = masks.folder or '.', masks.suffix
        super().__init__(
            data_root=self.source.data_root,
            split=split,
            mask_root=mask_root,
            mask_suffix=mask_suffix,
            missing_mask=missing_mask,
            **kwargs,
        )
        self._check_readable([sample.path for sample in self._draw(names)])

    def _check_readable(self, paths: Sequence[str]) -> None:
        """Check the image files before training, so that it does not fail on them later.

        Raises:
            UserError: images cannot be read; names their number and the first.
        """
        states = {path: inspect_image(Path(self.data_root) / path) for path in paths}
        broken = [path for path in paths if not states[path].complete]
        if broken:
            raise UserError(
                f'{len(broken)} of {len(paths)} {self.split} images cannot be read, the first is '
                f'{Path(self.data_root) / broken[0]}; replace or remove them'
            )
        rotated = [path for path in paths if states[path].rotated]
        if rotated:
            log_once(
                f'{len(rotated)} of {len(paths)} {self.split} images have an EXIF orientation '
                f'other than upright, the first is {Path(self.data_root) / rotated[0]}; it is '
                'ignored, as CLIP does: rotate them first (exiftran -ai, mogrify -auto-orient)',
                logging.WARNING,
            )

    def class_names_by_label(self) -> Dict[int, str]:
        """Label -> class name of the detected data set."""
        return self.source.class_names_by_label()

    def samples(self, split: str) -> List[Sample]:
        """All images of a split of the detected data set."""
        return self.source.samples(split)

    def prepare_data(self, idx: int):
        """Load an image.

        Raises:
            UserError: the image cannot be read; names it.
        """
        try:
            return super().prepare_data(idx)
        except OSError as error:  # of a truncated image; its message does not name the file
            raise UserError(
                f'{self.get_data_info(idx)["img_path"]} cannot be read as an image: {error}'
            ) from error

    def mask_path(self, path: str) -> str:
        """Path of the mask of an image in the detected data set, relative to ``data_root``."""
        return self.source.mask_path(path)

    def _masks(self, paths: Sequence[str]) -> List[Optional[str]]:
        return super()._masks(paths) if self.has_masks else [None] * len(paths)


def _log_found(given: Path, source: FewShotDataset, num_classes: int) -> None:
    """Log the kind of the detected data set and its numbers of classes and images."""
    if isinstance(source, ListFileDataset):
        kind = f'list {source.list_file}'
    elif source.folders:
        kind = f'class folders in {source.folders["train"]}/ and {source.folders["test"]}/'
    else:
        kind = 'class folders'
    log_once(
        f'{given}: {kind}, {num_classes} classes, {len(source.samples("train"))} training and '
        f'{len(source.samples("test"))} test images'
    )


def _log_masks(root: Path, split: str, masks: Masks) -> None:
    """Log how many images have a mask, and how to make masks if there are none."""
    if masks.found:
        rest = ''
        if masks.found < masks.images:
            rest = '; without a mask, the whole image counts as foreground'
        log_once(
            f'{root}: foreground masks of {masks.found} of {masks.images} {split} images{rest}'
        )
    else:
        out = root / MASK_FOLDERS[0]
        log_once(
            f'{root}: no foreground masks (there is no folder mask or masks). Training continues '
            'without them: FDC learns from the full view only. To make masks: '
            f'python tools/generate_foreground.py {root} --out {out} --suffix .png',
            logging.WARNING,
        )
