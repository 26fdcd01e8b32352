"""The CSV files of an analysis."""

from pathlib import Path
from typing import Dict, Iterator, List, Sequence, Tuple

import numpy as np

from ..io.atomic_write import atomic_write
from ..io.csv_text import csv_text
from .attention import MAPS
from .calibration import equal_parts, score_bins
from .collect import MASKS, Column
from .per_class import ClassAccuracy, changed, class_accuracies
from .summary import backbone_gate, foreground_gate, mean_and_error

Table = Tuple[Sequence[str], List[Sequence]]
_BIN = ('low', 'high', 'images', 'mean_score', 'share_true')


def class_rows(column: Column, sources: List[str]) -> List[ClassAccuracy]:
    """Compute the accuracy of every class of a column."""
    return class_accuracies(
        column.classes, column.values['label'], [column.correct(source) for source in sources]
    )


def csv_tables(columns: List[Column], sources: List[str]) -> Dict[str, Table]:
    """Make the tables: file name -> header and rows."""
    return {
        'samples.csv': _samples(columns),
        'foreground_shift.csv': (('column', 'source', *_BIN), list(_shift(columns, sources))),
        'attention.csv': (
            (
                'column',
                'source',
                'map',
                'mean_share',
                'standard_error',
                'images',
                'foreground_area',
            ),
            list(_attention(columns, sources)),
        ),
        'reliability.csv': (('column', 'source', *_BIN), list(_reliability(columns, sources))),
        'gates.csv': (('column', 'gate', *_BIN), list(_gates(columns))),
        'classes.csv': (
            ('column', 'class', 'images', *sources, f'{sources[-1]}_minus_{sources[-2]}'),
            [
                (column.name, row.name, row.images, *row.accuracy, row.gain)
                for column in columns
                for row in class_rows(column, sources)
            ],
        ),
        'changed.csv': (
            (
                'column',
                'change',
                'image',
                'class',
                *(f'{source}_says' for source in sources[-2:]),
                *(f'{source}_p_of_class' for source in sources[-2:]),
            ),
            list(_changed(columns, sources)),
        ),
    }


def table_text(table: Table) -> bytes:
    """Format a table as CSV. Numbers have six digits; unknown ones are empty."""
    header, rows = table
    return csv_text([header, *([_cell(value) for value in row] for row in rows)]).encode()


def write_file(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    with atomic_write(path) as partial:
        partial.write_bytes(content)


def _cell(value):
    if isinstance(value, (float, np.floating)):
        return f'{value:.6g}' if np.isfinite(value) else ''
    return value


def _samples(columns: List[Column]) -> Table:
    names = list(dict.fromkeys(name for column in columns for name in column.values))
    rows: List[Sequence] = []
    for column in columns:
        for i, path in enumerate(column.paths):
            values = {name: of_all[i] for name, of_all in column.values.items()}
            for name in values:
                if name == 'label' or name.endswith('/pred'):
                    values[name] = column.classes[int(values[name])]
            values['mask'] = MASKS[int(values['mask'])]
            rows.append((column.name, path, *(values.get(name) for name in names)))
    return ('column', 'image', *names), rows


def _shift(columns: List[Column], sources: List[str]) -> Iterator[Sequence]:
    for column in columns:
        for source in sources:
            known = column.known(f'{source}/shift')
            if known.any():
                shift = column.values[f'{source}/shift'][known]
                for part in equal_parts(shift, column.correct(source)[known]):
                    yield column.name, source, *part


def _attention(columns: List[Column], sources: List[str]) -> Iterator[Sequence]:
    for column in columns:
        for source in sources:
            for name in MAPS:
                found = mean_and_error(column.values.get(f'{source}/{name}', np.empty(0)))
                if found:
                    numbers = (found['mean'], found['error'], found['images'])
                    area = float(np.nanmean(column.values['area']))
                    yield column.name, source, name, *numbers, area


def _reliability(columns: List[Column], sources: List[str]) -> Iterator[Sequence]:
    for column in columns:
        for source in sources:
            for b in score_bins(column.values[f'{source}/confidence'], column.correct(source)):
                yield column.name, source, *b


def _gates(columns: List[Column]) -> Iterator[Sequence]:
    for column in columns:
        gates = dict(foreground=foreground_gate(column), backbone=backbone_gate(column))
        for gate, (trust, target) in gates.items():
            for part in equal_parts(trust, target):
                yield column.name, gate, *part


def _changed(columns: List[Column], sources: List[str]) -> Iterator[Sequence]:
    last_two = sources[-2:]
    for column in columns:
        fixed, broken = changed(*(column.correct(source) for source in last_two))
        for kind, indices in (('fixed', fixed), ('broken', broken)):
            for i in indices:
                label = column.classes[int(column.values['label'][i])]
                predictions = [
                    column.classes[int(column.values[f'{source}/pred'][i])] for source in last_two
                ]
                probabilities = [column.values[f'{source}/p_true'][i] for source in last_two]
                yield column.name, kind, column.paths[i], label, *predictions, *probabilities
