"""Makes the masks of a batch of images: load, segment, write."""

import threading
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Sequence

import numpy as np

from ..io.errors import UserError
from .base import build_segmenter
from .jobs import Job, Record
from .mask_file import (
    THRESHOLD,
    confidence,
    intersection_over_union,
    load_image,
    read_mask,
    write_mask,
)


@dataclass
class MaskMaker:
    """Makes the masks of a batch of images. Several threads may share one object.

    Args:
        segmenter, options: see :func:`~fvgpt.segmentation.build_segmenter`.
        soft: write probabilities instead of 0 and 1.
        overwrite: make masks again that exist.
    """

    segmenter: str
    options: Dict[str, object] = field(default_factory=dict)
    soft: bool = False
    overwrite: bool = False

    def __post_init__(self):
        self.component = build_segmenter(self.segmenter, self.options)
        self.lock = threading.Lock()
        options = [f'{key}={value}' for key, value in self.options.items() if key != 'device']
        self.maker = ' '.join([self.segmenter, *options])

    def __call__(self, jobs: Sequence[Job]) -> List[Record]:
        records, todo = [], []
        for job in jobs:
            record = None if self.overwrite else self._existing(job)
            if record:
                records.append(record)
                continue
            try:
                todo.append((job, load_image(job.image)))
            except ValueError as error:
                records.append(Record(job.name, 'failed', problem=str(error)))
        with self.lock:  # one batch at a time, while other threads read and write files
            masks = self._segment([image for _, image in todo])
        for (job, _), mask in zip(todo, masks):
            if isinstance(mask, Exception):
                problem = f'segmenting {job.image} failed: {mask!r}'
                records.append(Record(job.name, 'failed', problem=problem))
            else:
                records.append(self._write(job, mask))
        return records

    def _segment(self, images: List[np.ndarray]) -> list:
        """Mask of each image, or the exception that it raised."""
        try:
            masks = self.component.segment(images) if images else []
            for mask, image in zip(masks, images):
                if mask.shape != image.shape[:2] or not np.isfinite(mask).all():
                    raise UserError(
                        'the segmenter returned values that are not finite or a wrong shape, '
                        f'{mask.shape} for {image.shape}'
                    )
            return masks
        except Exception as error:
            # Any failure, such as a full GPU: try the images one by one, so that one image that
            # cannot be segmented does not affect the others.
            return [error] if len(images) == 1 else [self._segment([image])[0] for image in images]

    def _existing(self, job: Job) -> Optional[Record]:
        """Record of a mask that exists; None if there is no file or it cannot be read."""
        if not job.mask.is_file():
            return None
        try:
            mask, note = read_mask(job.mask)
        except ValueError:
            return None
        return _record(job, 'kept', mask, note)

    def _write(self, job: Job, mask: np.ndarray) -> Record:
        note = dict(segmenter=self.maker, confidence=round(confidence(mask), 4))
        mask = mask if self.soft else (mask > THRESHOLD).astype(np.float32)
        write_mask(job.mask, mask, note)
        return _record(job, 'made', mask, note)


def _record(job: Job, status: str, mask: np.ndarray, note: dict) -> Record:
    iou = intersection_over_union(mask, read_mask(job.reference)[0]) if job.reference else None
    return Record(
        job.name,
        status,
        area=float((mask > THRESHOLD).mean()),
        confidence=note.get('confidence'),
        maker=note.get('segmenter', 'unknown'),
        iou=iou,
    )
