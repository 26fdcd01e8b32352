"""Which image gets which mask file, and what became of it."""

import os
from pathlib import Path, PurePosixPath
from typing import Dict, List, NamedTuple, Optional

from ..datasets.class_folder import IMAGE_SUFFIXES
from ..datasets.image_lists import files_below
from ..io.errors import MissingFileError, UserError

# Masks with a smaller or larger share of foreground are suspicious (RDBOOST_AREA_MIN and
# RDBOOST_AREA_MAX of the released configs).
AREA_MIN, AREA_MAX = 0.02, 0.98


class Job(NamedTuple):
    """One mask to make.

    Attributes:
        name: path of the image relative to its folder, with forward slashes.
        image: the image file.
        mask: the mask file to write.
        reference: another mask to compare it with; None for none.
    """

    name: str
    image: Path
    mask: Path
    reference: Optional[Path]


class Record(NamedTuple):
    """Result of one job.

    Attributes:
        name: name of the job.
        status: ``made``, ``kept`` (the mask existed) or ``failed``.
        area: foreground share of the image, in [0, 1]; None if the job failed.
        confidence: see :func:`~fvgpt.segmentation.mask_file.confidence`; None if the mask file
            does not contain it.
        maker: segmenter and options that made the mask.
        iou: intersection over union with the reference; None without reference.
        problem: why the job failed.
    """

    name: str
    status: str
    area: Optional[float] = None
    confidence: Optional[float] = None
    maker: str = ''
    iou: Optional[float] = None
    problem: str = ''

    @property
    def suspicious(self) -> bool:
        """Whether there is no mask or it contains almost nothing or almost all of the image."""
        return self.area is None or not AREA_MIN <= self.area <= AREA_MAX

    @property
    def trust(self) -> tuple:
        """Sort key that puts the worst masks first."""
        score = self.confidence if self.iou is None else self.iou
        return not self.suspicious, 1.0 if score is None else score, self.name


def find_jobs(
    images: Path, out: Path, suffix: Optional[str] = None, compare: Optional[Path] = None
) -> List[Job]:
    """List the masks to make, sorted by name.

    Args:
        images: folder of images, or one image file.
        out: folder of the masks.
        suffix: suffix of the mask files; None for that of the image.
        compare: folder of other masks to compare with.

    Raises:
        MissingFileError: a folder does not exist, or ``compare`` has no mask of these images.
        UserError: the suffix is invalid, there are no images, or a mask would overwrite an image or
            another mask.
    """
    if suffix is not None and suffix.lower() not in IMAGE_SUFFIXES:
        raise UserError(f'--suffix must be one of {", ".join(IMAGE_SUFFIXES)}, not {suffix!r}')
    names = [images.name] if images.is_file() else _image_names(images, out)
    folder = images.parent if images.is_file() else images
    if compare is not None and not compare.is_dir():
        raise MissingFileError(f'--compare {compare} is not a folder')
    jobs: Dict[Path, Job] = {}
    for name in names:
        mask = out / (PurePosixPath(name).with_suffix(suffix) if suffix else name)
        if mask in jobs:
            raise UserError(
                f'{jobs[mask].name} and {name} would share the mask {mask}; leave out --suffix, or '
                'rename one'
            )
        reference = _reference(compare, name, mask) if compare else None
        jobs[mask] = Job(name, folder / name, mask, reference)
    image_files = {os.path.abspath(job.image) for job in jobs.values()}
    if out.resolve() == folder.resolve() or any(
        os.path.abspath(mask) in image_files for mask in jobs
    ):
        raise UserError(f'masks would overwrite images; --out must be another folder than {folder}')
    if compare is not None and not any(job.reference for job in jobs.values()):
        raise MissingFileError(
            f'{compare} has no mask of these images; the first should be {compare / names[0]} or '
            '.png'
        )
    return list(jobs.values())


def _image_names(folder: Path, out: Path) -> List[str]:
    """Paths of the images relative to ``folder``, without masks if ``out`` is inside it."""
    if not folder.is_dir():
        raise MissingFileError(f'there is no file or folder {folder}')
    masks = Path(os.path.relpath(out, folder)).as_posix() + '/'
    names = sorted(
        name
        for name in files_below(folder, folder)
        if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(masks)
    )
    if not names:
        raise UserError(f'{folder} has no images ({", ".join(IMAGE_SUFFIXES)})')
    return names


def _reference(compare: Path, name: str, mask: Path) -> Optional[Path]:
    """Mask of an image in ``compare``: with the suffix of ``mask``, of the image, or ``.png``."""
    path = compare / name
    for candidate in (path.with_suffix(mask.suffix), path, path.with_suffix('.png')):
        if candidate.is_file():
            return candidate
    return None
