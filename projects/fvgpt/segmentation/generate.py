"""Make the foreground masks of a folder of images, in the layout of the released archives."""

from pathlib import Path
from typing import Iterator, List, Optional

from filelock import FileLock, Timeout
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..io.device import cpu_count
from ..io.errors import UserError
from .jobs import Record, find_jobs
from .mask_maker import MaskMaker
from .report import REPORT_FOLDER, write_report
from .worker_pool import run_batches


def generate_masks(
    images: Path,
    out: Path,
    maker: MaskMaker,
    suffix: Optional[str] = None,
    compare: Optional[Path] = None,
    workers: Optional[int] = None,
    batch_size: Optional[int] = None,
) -> dict:
    """Write a mask of every image, and a report.

    Each mask has the path of its image, relative to ``out``. Masks that exist are kept. Each file
    is written completely or not at all, so a run that was stopped continues if it is started again.

    Args:
        images: folder, or one image.
        out: folder of the masks; the report is written to ``out/_report``.
        maker: makes the masks.
        suffix: suffix of the mask files; None for that of the image.
        compare: folder with other masks of these images, at the same relative paths.
        workers: on a CPU, number of processes; by default one per core for a single-threaded
            segmenter, else one. On a GPU, number of threads that read and write files.
        batch_size: images per call of the segmenter; by default 8 on a GPU, else 1.

    Returns:
        The content of report.json.

    Raises:
        MissingFileError, UserError: see :func:`~fvgpt.segmentation.jobs.find_jobs`; or another run
            is writing to ``out``.
        WriteError: a worker process was killed, or a file cannot be written.
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
            records = _collect(run_batches(maker, batches, workers), len(jobs))
            return write_report(out, maker.maker, sorted(records), {job.name: job for job in jobs})
    except Timeout as error:
        raise UserError(f'another run is writing masks to {out}') from error


def _collect(results: Iterator[List[Record]], total: int) -> List[Record]:
    """All records, with a progress bar that shows the number of failures."""
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
