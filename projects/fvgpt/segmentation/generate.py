"""Foreground masks of a folder of images, in the layout of the released archives."""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Callable, Dict, Iterator, List, Optional, Sequence

import cv2
import numpy as np
import torch
from filelock import FileLock, Timeout
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..datasets.class_folder import IMAGE_SUFFIXES
from ..datasets.image_lists import files_below
from ..io.device import cpu_count
from ..io.errors import MissingFileError, UserError, WriteError
from .base import build_segmenter
from .mask_file import (
    THRESHOLD,
    confidence,
    intersection_over_union,
    load_image,
    read_mask,
    write_mask,
)
from .report import REPORT_FOLDER, Job, Record, write_report


@dataclass
class MaskMaker:
    """Makes the masks of a few images at a time; several threads may share one.

    Args:
        segmenter, options: see :func:`~fvgpt.segmentation.build_segmenter`.
        soft: write probabilities in place of 0 and 1.
        overwrite: make masks anew that are there already.
    """

    segmenter: str
    options: Dict[str, object] = field(default_factory=dict)
    soft: bool = False
    overwrite: bool = False

    def __post_init__(self):
        self.component = build_segmenter(self.segmenter, self.options)
        self.lock = threading.Lock()
        self.maker = ' '.join(
            [
                self.segmenter,
                *(f'{key}={value}' for key, value in self.options.items() if key != 'device'),
            ]
        )

    def __call__(self, jobs: Sequence[Job]) -> List[Record]:
        records, todo = [], []
        for job in jobs:
            record = None if self.overwrite else self._keep(job)
            if record:
                records.append(record)
                continue
            try:
                todo.append((job, load_image(job.image)))
            except ValueError as error:
                records.append(Record(job.name, 'failed', problem=str(error)))
        with self.lock:  # one batch after the other, while other threads read and write
            masks = self._segment([image for _, image in todo])
        for (job, _), mask in zip(todo, masks):
            if isinstance(mask, Exception):
                records.append(
                    Record(job.name, 'failed', problem=f'segmenting {job.image} failed: {mask!r}')
                )
            else:
                records.append(self._write(job, mask))
        return records

    def _segment(self, images: List[np.ndarray]) -> list:
        """A mask of each image, or the exception that it raised."""
        try:
            masks = self.component.segment(images) if images else []
            for mask, image in zip(masks, images):
                if mask.shape != image.shape[:2] or not np.isfinite(mask).all():
                    raise UserError(
                        f'the segmenter gave no numbers or a wrong size, {mask.shape} for {image.shape}'
                    )
            return masks
        except Exception as error:  # whatever an image or a full GPU does to a network, the other images get their masks
            return [error] if len(images) == 1 else [self._segment([image])[0] for image in images]

    def _keep(self, job: Job) -> Optional[Record]:
        """Record of the mask that is there already; None where there is none or only a broken file."""
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
        float((mask > THRESHOLD).mean()),
        note.get('confidence'),
        note.get('segmenter', 'unknown'),
        iou,
    )


# ------------------------------------------------------------------------------------------------------- what is to do
def find_jobs(
    images: Path, out: Path, suffix: Optional[str] = None, compare: Optional[Path] = None
) -> List[Job]:
    """One job an image of the folder ``images`` (or of that one file), sorted by name.

    Raises:
        FileNotFoundError, ValueError: there are no images, no masks to compare with, or masks would overwrite something.
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
                f'{jobs[mask].name} and {name} would share the mask {mask}; leave out --suffix, or rename one'
            )
        jobs[mask] = Job(
            name, folder / name, mask, _reference(compare, name, mask) if compare else None
        )
    taken = {os.path.abspath(job.image) for job in jobs.values()}
    if out.resolve() == folder.resolve() or any(os.path.abspath(mask) in taken for mask in jobs):
        raise UserError(
            f'masks would lie in the place of images; --out must be another folder than {folder}'
        )
    if compare is not None and not any(job.reference for job in jobs.values()):
        raise MissingFileError(
            f'{compare} has no mask of these images; the first should be {compare / names[0]} or .png'
        )
    return list(jobs.values())


def _image_names(folder: Path, out: Path) -> List[str]:
    if not folder.is_dir():
        raise MissingFileError(f'there is no file or folder {folder}')
    masks = (
        Path(os.path.relpath(out, folder)).as_posix() + '/'
    )  # the masks may lie below the images' folder
    names = sorted(
        name
        for name in files_below(folder, folder)
        if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(masks)
    )
    if not names:
        raise UserError(f'{folder} has no images ({", ".join(IMAGE_SUFFIXES)})')
    return names


def _reference(compare: Path, name: str, mask: Path) -> Optional[Path]:
    path = compare / name
    return next(
        (p for p in (path.with_suffix(mask.suffix), path, path.with_suffix('.png')) if p.is_file()),
        None,
    )


# -------------------------------------------------------------------------------------------------------- worker pools
_maker: MaskMaker  # of a worker process


def _start_worker(threads: int, *settings) -> None:
    global _maker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process says when to stop
    threading.Thread(target=_end_with_main_process, daemon=True).start()
    os.environ['OMP_NUM_THREADS'] = str(threads)
    cv2.setNumThreads(1)
    torch.set_num_threads(threads)
    _maker = MaskMaker(*settings)


def _end_with_main_process() -> None:
    main = multiprocessing.parent_process()
    if main is not None:
        main.join()
    os._exit(1)


def _work(jobs: Sequence[Job]) -> List[Record]:
    return _maker(jobs)


def _process_pool(maker: MaskMaker, workers: int) -> Executor:
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context('forkserver' if 'forkserver' in methods else 'spawn')
    if 'forkserver' in methods:
        context.set_forkserver_preload(
            [__name__]
        )  # torch and OpenMMLab are imported once, not once a worker
    settings = (maker.segmenter, maker.options, maker.soft, maker.overwrite)
    return ProcessPoolExecutor(
        workers, context, _start_worker, (max(1, cpu_count() // workers), *settings)
    )


def _run(
    executor: Executor, work: Callable, batches: Iterator[List[Job]], most_waiting: int
) -> Iterator[List[Record]]:
    waiting = set()
    try:
        for batch in batches:
            waiting.add(executor.submit(work, batch))
            if len(waiting) >= most_waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        yield from (future.result() for future in as_completed(waiting))
    except BrokenProcessPool as error:
        raise WriteError(
            'a worker process was ended from outside, often for lack of memory; the same command goes on from '
            'here, with fewer --workers it needs less'
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


def generate_masks(
    images: Path,
    out: Path,
    maker: MaskMaker,
    suffix: Optional[str] = None,
    compare: Optional[Path] = None,
    workers: Optional[int] = None,
    batch_size: Optional[int] = None,
) -> dict:
    """Write a mask of every image and the report.

    Each mask lies at its image's relative path below ``out``. Masks that are there are kept; a file is written whole or not
    at all, so a run that was ended at any moment is gone on with by starting it again.

    Args:
        images: folder, or one image.
        out: folder of the masks; the report goes to its folder ``_report``.
        maker: what makes them.
        suffix: of mask files; the image's own when left out.
        compare: folder with other masks of these images, at the same relative paths.
        workers: processes on a CPU (one a core for a single-threaded segmenter, else one), threads that read and write
            around a GPU.
        batch_size: images a call of the segmenter; 8 on a GPU, else 1.

    Returns:
        The content of report.json.

    Raises:
        FileNotFoundError, ValueError: see :func:`find_jobs`.
    """
    jobs = find_jobs(images, out, suffix, compare)
    on_gpu = maker.component.device != 'cpu'
    workers = workers or (cpu_count() if on_gpu or maker.component.single_threaded else 1)
    workers = min(workers, len(jobs))
    size = batch_size or (8 if on_gpu else 1)
    batches = (jobs[start : start + size] for start in range(0, len(jobs), size))
    (out / REPORT_FOLDER).mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / REPORT_FOLDER / '.lock', timeout=0):
            processes = workers > 1 and not on_gpu
            executor = _process_pool(maker, workers) if processes else ThreadPoolExecutor(workers)
            records = _collect(
                _run(executor, _work if processes else maker, batches, 4 * workers), len(jobs)
            )
            return write_report(out, maker.maker, sorted(records), {job.name: job for job in jobs})
    except Timeout as error:
        raise UserError(f'another run is writing masks to {out}') from error


def _collect(results: Iterator[List[Record]], total: int) -> List[Record]:
    records, failed = [], 0
    columns = (
        TextColumn('masks'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn('{task.description}'),
    )
    with Progress(*columns) as progress:
        task = progress.add_task('', total=total)
        for batch in results:
            records += batch
            failed += sum(record.status == 'failed' for record in batch)
            progress.update(
                task, advance=len(batch), description=f'{failed} failed' if failed else ''
            )
    return records
