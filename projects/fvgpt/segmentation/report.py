"""What there is to know about a set of masks: coverage, areas, the worst ones, agreement with other masks."""

import json
import random
from collections import Counter
from html import escape
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from ..io.atomic_write import atomic_write
from ..io.csv_text import csv_text
from .contact_sheet import draw_contact_sheet

REPORT_FOLDER = '_report'
AREA_MIN, AREA_MAX = (
    0.02,
    0.98,
)  # masks outside are suspicious (the constants of the released configs, RDBOOST_AREA_MIN / _MAX)
_SHOWN = 24  # pictures of each kind on the contact sheet


class Job(NamedTuple):
    """name: of the image, below its folder, with forward slashes. mask: the file to write. reference: to compare it with."""

    name: str
    image: Path
    mask: Path
    reference: Optional[Path]


class Record(NamedTuple):
    """What became of an image: ``made``, ``kept`` (the mask was there) or ``failed`` (then ``problem`` says why).

    area: share of the image. confidence: see :func:`~fvgpt.segmentation.mask_file.confidence`; None where the mask does not
    say. maker: segmenter and options. iou: with the mask that it is compared with.
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
        """Whether the mask is next to nothing or nearly all of the image, or there is none."""
        return self.area is None or not AREA_MIN <= self.area <= AREA_MAX

    @property
    def trust(self) -> tuple:
        """Smallest for the worst mask."""
        score = self.confidence if self.iou is None else self.iou
        return not self.suspicious, 1.0 if score is None else score, self.name


def summarise(records: Sequence[Record], maker: str) -> dict:
    """The content of report.json from the records of all images."""
    masks = [record for record in records if record.status != 'failed']
    areas = [record.area for record in masks if record.area is not None]
    ious = [record.iou for record in masks if record.iou is not None]
    summary = dict(
        segmenter=maker,
        images=len(records),
        **{
            status: sum(r.status == status for r in records)
            for status in ('made', 'kept', 'failed')
        },
        coverage=len(masks) / len(records),
        mean_area=float(np.mean(areas)) if areas else None,
        area_histogram=np.histogram(areas, 10, (0, 1))[0].tolist(),
        too_small=sum(area < AREA_MIN for area in areas),
        too_large=sum(area > AREA_MAX for area in areas),
        nothing_found=sum(record.confidence == 0 for record in masks),
        makers=dict(Counter(record.maker for record in masks)),
    )
    if ious:
        summary['iou'] = dict(
            images=len(ious),
            mean=float(np.mean(ious)),
            median=float(np.median(ious)),
            above_half=float(np.mean(np.greater(ious, 0.5))),
        )
    worst = sorted(masks, key=lambda record: record.trust)[:_SHOWN]
    summary['worst'] = [
        dict(image=r.name, area=r.area, confidence=r.confidence, iou=r.iou) for r in worst
    ]
    summary['failures'] = {
        record.name: record.problem for record in records if record.status == 'failed'
    }
    return summary


def summary_text(summary: dict) -> str:
    """The report as Markdown."""
    lines = [
        '# Foreground masks',
        '',
        f'{summary["images"]} images: {summary["made"]} masks made, {summary["kept"]} kept from before, {summary["failed"]} '
        f'failed; coverage {summary["coverage"]:.1%}. Segmenter: {summary["segmenter"]}.',
        '',
    ]
    others = {maker: n for maker, n in summary['makers'].items() if maker != summary['segmenter']}
    if others:
        lines += [
            'Masks of another making were there already and are kept (--overwrite makes them anew): '
            + ', '.join(f'{n} by {_plain(maker)}' for maker, n in others.items())
            + '.',
            '',
        ]
    if 'iou' in summary:
        lines += [
            'IoU with the masks compared with: mean {mean:.3f}, median {median:.3f}, above 0.5 in {above_half:.1%} '
            'of {images}.'.format(**summary['iou']),
            '',
        ]
    if summary['mean_area'] is not None:
        lines += [
            f'Mean area {summary["mean_area"]:.3f}; {summary["too_small"]} masks below {AREA_MIN}, '
            f'{summary["too_large"]} above {AREA_MAX}; nothing found in {summary["nothing_found"]} (confidence 0).',
            '',
            '| area | masks |',
            '|---|---|',
        ]
        lines += [
            f'| {i / 10:.1f} to {(i + 1) / 10:.1f} | {n} |'
            for i, n in enumerate(summary['area_histogram'])
        ]
        lines += [
            '',
            'Random masks and the worst ones (suspicious area first, then the lowest IoU or confidence):',
            '',
            '![contact sheet](contact_sheet.png)',
            '',
            '| worst | area | confidence | IoU |',
            '|---|---|---|---|',
        ]
        lines += [
            '| {} | {} | {} | {} |'.format(
                _plain(row['image']),
                *(
                    '' if row[key] is None else f'{row[key]:.3f}'
                    for key in ('area', 'confidence', 'iou')
                ),
            )
            for row in summary['worst']
        ]
    if summary['failures']:
        lines += [
            '',
            'Failed:',
            '',
            *(f'- {_plain(problem)}' for problem in summary['failures'].values()),
        ]
    return '\n'.join(lines) + '\n'


def _plain(text: str) -> str:
    """A name as Markdown that is no markup."""
    return escape(' '.join(text.split()), quote=False).replace('|', r'\|')


def write_report(out: Path, maker: str, records: Sequence[Record], files: Dict[str, Job]) -> dict:
    """Write report.json, report.md, images.csv and contact_sheet.png to ``out/_report``.

    Args:
        out: folder of the masks.
        maker: segmenter and options of this run.
        records: one an image.
        files: image name -> its files.

    Returns:
        The content of report.json.
    """
    folder = out / REPORT_FOLDER
    summary = summarise(records, maker)
    masks = [record for record in records if record.status != 'failed']
    chosen = dict(
        random=random.Random(0).sample(masks, min(_SHOWN, len(masks))),
        worst=sorted(masks, key=lambda record: record.trust)[:_SHOWN],
    )
    draw_contact_sheet(
        folder / 'contact_sheet.png',
        {
            title: [(files[r.name].image, files[r.name].mask, _caption(r)) for r in sorted(rows)]
            if title == 'random'
            else [(files[r.name].image, files[r.name].mask, _caption(r)) for r in rows]
            for title, rows in chosen.items()
        },
    )
    for name, text in (
        ('images.csv', csv_text([Record._fields, *records])),
        ('report.md', summary_text(summary)),
        ('report.json', json.dumps(summary, indent=2) + '\n'),
    ):
        with atomic_write(folder / name) as partial:
            partial.write_text(text, encoding='utf-8')
    return summary


def _caption(record: Record) -> List[str]:
    values = dict(area=record.area, conf=record.confidence, IoU=record.iou)
    return [
        record.name[-26:],
        ' '.join(f'{key} {value:.2f}' for key, value in values.items() if value is not None),
    ]
