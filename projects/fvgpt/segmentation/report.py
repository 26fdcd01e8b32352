"""Report on a set of masks: coverage, areas, the worst masks, agreement with other masks."""

import json
import random
from collections import Counter
from html import escape
from pathlib import Path
from typing import Dict, List, Sequence

import numpy as np

from ..io.atomic_write import atomic_write
from ..io.csv_text import csv_text
from .contact_sheet import draw_contact_sheet
from .jobs import AREA_MAX, AREA_MIN, Job, Record

REPORT_FOLDER = '_report'
_NUM_SHOWN = 24  # thumbnails per section of the contact sheet


def summarise(records: Sequence[Record], maker: str) -> dict:
    """Content of report.json.

    Args:
        records: one per image.
        maker: segmenter and options of this run.
    """
    masks = [record for record in records if record.status != 'failed']
    areas = [record.area for record in masks if record.area is not None]
    ious = [record.iou for record in masks if record.iou is not None]
    status = Counter(record.status for record in records)
    summary = dict(
        segmenter=maker,
        images=len(records),
        made=status['made'],
        kept=status['kept'],
        failed=status['failed'],
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
    summary['worst'] = [
        dict(image=r.name, area=r.area, confidence=r.confidence, iou=r.iou) for r in _worst(masks)
    ]
    summary['failures'] = {
        record.name: record.problem for record in records if record.status == 'failed'
    }
    return summary


def _worst(masks: Sequence[Record]) -> List[Record]:
    return sorted(masks, key=lambda record: record.trust)[:_NUM_SHOWN]


def summary_text(summary: dict) -> str:
    """The report as Markdown, from the content of report.json."""
    lines = [
        '# Foreground masks',
        '',
        f'{summary["images"]} images: {summary["made"]} masks made, {summary["kept"]} kept from '
        f'before, {summary["failed"]} failed; coverage {summary["coverage"]:.1%}. '
        f'Segmenter: {summary["segmenter"]}.',
        '',
    ]
    others = {maker: n for maker, n in summary['makers'].items() if maker != summary['segmenter']}
    if others:
        counts = ', '.join(f'{n} by {_plain(maker)}' for maker, n in others.items())
        lines += [
            'Masks by other segmenters or options existed and were kept (--overwrite makes them '
            f'again): {counts}.',
            '',
        ]
    if 'iou' in summary:
        lines += [
            'IoU with the masks compared with: mean {mean:.3f}, median {median:.3f}, above 0.5 in '
            '{above_half:.1%} of {images}.'.format(**summary['iou']),
            '',
        ]
    if summary['mean_area'] is not None:
        lines += _area_lines(summary) + _worst_lines(summary)
    if summary['failures']:
        lines += ['', 'Failed:', '']
        lines += [f'- {_plain(problem)}' for problem in summary['failures'].values()]
    return '\n'.join(lines) + '\n'


def _area_lines(summary: dict) -> List[str]:
    """Mean area and histogram of the areas."""
    lines = [
        f'Mean area {summary["mean_area"]:.3f}; {summary["too_small"]} masks below {AREA_MIN}, '
        f'{summary["too_large"]} above {AREA_MAX}; nothing found in '
        f'{summary["nothing_found"]} (confidence 0).',
        '',
        '| area | masks |',
        '|---|---|',
    ]
    for i, n in enumerate(summary['area_histogram']):
        lines.append(f'| {i / 10:.1f} to {(i + 1) / 10:.1f} | {n} |')
    return lines


def _worst_lines(summary: dict) -> List[str]:
    """Contact sheet and table of the worst masks."""
    lines = [
        '',
        'Random masks and the worst ones (suspicious area first, then the lowest IoU or '
        'confidence):',
        '',
        '![contact sheet](contact_sheet.png)',
        '',
        '| worst | area | confidence | IoU |',
        '|---|---|---|---|',
    ]
    for row in summary['worst']:
        values = [row[key] for key in ('area', 'confidence', 'iou')]
        cells = ['' if value is None else f'{value:.3f}' for value in values]
        lines.append(f'| {_plain(row["image"])} | {" | ".join(cells)} |')
    return lines


def _plain(text: str) -> str:
    """A name escaped so that Markdown shows it as plain text."""
    return escape(' '.join(text.split()), quote=False).replace('|', r'\|')


def write_report(out: Path, maker: str, records: Sequence[Record], files: Dict[str, Job]) -> dict:
    """Write report.json, report.md, images.csv and contact_sheet.png to ``out/_report``.

    Args:
        out: folder of the masks.
        maker: segmenter and options of this run.
        records: one per image.
        files: image name -> its job, which has the files.

    Returns:
        The content of report.json.
    """
    folder = out / REPORT_FOLDER
    summary = summarise(records, maker)
    masks = [record for record in records if record.status != 'failed']
    sections = dict(
        random=sorted(random.Random(0).sample(masks, min(_NUM_SHOWN, len(masks)))),
        worst=_worst(masks),
    )
    tiles = {
        title: [(files[r.name].image, files[r.name].mask, _caption(r)) for r in section]
        for title, section in sections.items()
    }
    draw_contact_sheet(folder / 'contact_sheet.png', tiles)
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
