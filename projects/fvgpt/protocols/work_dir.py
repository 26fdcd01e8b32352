"""Reading the work dir of a protocol: the planned runs and the results of the finished ones."""

import math
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from ..io.errors import MissingFileError, UserError
from ..io.json_file import read_json
from .comparison import Comparison, read_comparison
from .published_numbers import AVERAGE
from .statistics import HARMONIC, Row, center

COST_COLUMNS = (
    'trainable_parameters',
    'tuning_images_per_second',
    'inference_images_per_second',
    'peak_memory_mb',
)


class Run(NamedTuple):
    """A planned run and what it found.

    Attributes:
        tuner, dataset, variant, seed: its place in the tables.
        folder: its folder, relative to the work dir.
        results: source (``zero_shot``, ``tuner``, ``fvgpt``) -> accuracies; empty if it is not
            done.
        cost: measured costs, see ``COST_COLUMNS``; empty if they were not measured.
    """

    tuner: str
    dataset: str
    variant: str
    seed: int
    folder: str
    results: Dict[str, Row]
    cost: Dict[str, Any]


class WorkDir(NamedTuple):
    """The content of ``protocol.json`` with the results of its runs.

    Attributes:
        title: title of the report.
        columns: columns of the tables; the last one is ``average`` if ``average`` is not empty.
        average: the columns that the column ``average`` is the mean of.
        runs: all planned runs.
        folder: the work dir.
        compare: entries of the protocol's ``compare``, see :mod:`fvgpt.protocols.comparison`.
    """

    title: str
    columns: List[str]
    average: List[str]
    runs: List[Run]
    folder: Path
    compare: List[Comparison]


def read_work_dir(folder: Path) -> WorkDir:
    """Read ``protocol.json`` and ``results.json`` and ``cost.json`` of all its runs.

    Raises:
        FileNotFoundError: there is no ``protocol.json``.
        ValueError: a file cannot be read, or has not the content that a report needs.
    """
    path = folder / 'protocol.json'
    if not path.is_file():
        raise MissingFileError(
            f'there is no {path}: the folder has to be a --work-dir of tools/run_protocol.py'
        )
    remedy = 'delete it and start tools/run_protocol.py again, which does not repeat finished runs'
    content = _object(path, remedy)
    try:
        columns, average = list(content['columns']), list(content['average'])
        title, name = str(content['title']), content['protocol'].removeprefix('ablation_')
        plan = [
            Run(
                tuner=str(run['tuner']),
                dataset=str(run['dataset']),
                variant=str(run['variant']),
                seed=int(run['seed']),
                folder=str(run['folder']),
                results={},
                cost={},
            )
            for run in content['runs']
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f'{path} does not have the format of tools/run_protocol.py ({error!r}): {remedy}'
        ) from error
    outside = [
        run.folder
        for run in plan
        if Path(run.folder).is_absolute() or '..' in Path(run.folder).parts
    ]
    if outside:
        raise UserError(
            f'{path}: the folder {outside[0]!r} of a run is not below {folder}: {remedy}'
        )
    unknown = [column for column in average if column not in columns]
    if unknown:
        raise UserError(
            f'{path}: `average` names {unknown[0]!r}, which is not one of `columns` '
            f'({", ".join(columns)})'
        )
    variants = {run.variant for run in plan}
    compare = [
        read_comparison(entry, variants, columns, str(path)) for entry in content.get('compare', [])
    ]
    runs = []
    for run in plan:
        # A protocol such as lambda_d.py names its variants by the values alone.
        variant = f'{name} {run.variant}' if run.variant.isdigit() else run.variant
        results, cost = folder / run.folder / 'results.json', folder / run.folder / 'cost.json'
        runs.append(
            run._replace(
                variant=variant,
                results=_results(results, path, columns, average) if results.is_file() else {},
                cost=_cost(cost) if cost.is_file() else {},
            )
        )
    all_columns = columns + [AVERAGE] * bool(average)
    return WorkDir(title, all_columns, average, runs, folder, compare)


def _object(path: Path, remedy: str) -> dict:
    try:
        content = read_json(path)
    except ValueError as error:
        raise UserError(f'{error}: {remedy}') from error
    if not isinstance(content, dict):
        raise UserError(f'{path} does not contain a JSON object: {remedy}')
    return content


def _results(path: Path, protocol: Path, columns: List[str], average: List[str]) -> Dict[str, Row]:
    """The accuracies of a run, with the average over columns."""
    remedy = 'delete it and start tools/run_protocol.py again, which does only the missing runs'
    results = _object(path, remedy)
    if not results or not all(
        isinstance(row, dict) and all(map(_is_number, row.values())) for row in results.values()
    ):
        raise UserError(
            f'{path} is not {{"tuner": {{"base": 82.7, ...}}, ...}} with numbers: {remedy}'
        )
    known = list(dict.fromkeys(column for row in results.values() for column in row))
    for column in columns:
        for part in HARMONIC.get(column, (column,)):
            if part not in known:
                raise UserError(
                    f'{path} has no column {part!r}, it has {", ".join(known)}: correct `columns` '
                    f'of {protocol}, or delete the results and start tools/run_protocol.py again'
                )
    for row in results.values():
        over = [accuracy for column in average if (accuracy := center([row], column)) is not None]
        if over and len(over) == len(average):
            row[AVERAGE] = sum(over) / len(over)
    return results


def _cost(path: Path) -> Dict[str, Any]:
    cost = _object(path, 'delete it')
    wrong = [key for key in COST_COLUMNS if cost.get(key) is not None and not _is_number(cost[key])]
    if wrong:
        raise UserError(
            f'{path}: {wrong[0]} is {cost[wrong[0]]!r}, not a number: correct or delete it'
        )
    return {key: value for key, value in cost.items() if value is not None}


def _is_number(value: Optional[object]) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
