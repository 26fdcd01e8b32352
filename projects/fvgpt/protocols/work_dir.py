"""The work dir of a protocol, read back: which runs there are to be, and what the finished ones found."""

import math
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from ..io.errors import MissingFileError, UserError
from ..io.json_file import read_json
from .published import AVERAGE
from .statistics import HARMONIC, Row, center

COST_COLUMNS = (
    'trainable_parameters',
    'tuning_images_per_second',
    'inference_images_per_second',
    'peak_memory_mb',
)


class Run(NamedTuple):
    """A run of the table: its place, and per source (``zero_shot``, ``tuner``, ``fvgpt``) its accuracies; none if not done."""

    tuner: str
    dataset: str
    variant: str
    seed: int
    folder: str
    results: Dict[str, Row]
    cost: Dict[str, Any]


class WorkDir(NamedTuple):
    """What ``protocol.json`` names. ``columns`` ends with ``average`` where ``average`` (the columns it is over) has any."""

    title: str
    columns: List[str]
    average: List[str]
    runs: List[Run]


def read_work_dir(folder: Path) -> WorkDir:
    """Read ``protocol.json`` and, of each run that it names, ``results.json`` and ``cost.json``.

    Raises:
        FileNotFoundError: there is no ``protocol.json``.
        ValueError: a file cannot be read, or lacks what the report needs.
    """
    path = folder / 'protocol.json'
    if not path.is_file():
        raise MissingFileError(
            f'there is no {path}: the folder has to be a --work-dir of tools/run_protocol.py'
        )
    mend = 'delete it and start tools/run_protocol.py again, which keeps the runs that are done'
    content = _object(path, mend)
    try:
        columns, average = list(content['columns']), list(content['average'])
        title, name = str(content['title']), content['protocol'].removeprefix('ablation_')
        plan = [
            Run(
                str(run['tuner']),
                str(run['dataset']),
                str(run['variant']),
                int(run['seed']),
                str(run['folder']),
                {},
                {},
            )
            for run in content['runs']
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f'{path} is not as tools/run_protocol.py writes it ({error!r}): {mend}'
        ) from error
    outside = [
        run.folder
        for run in plan
        if Path(run.folder).is_absolute() or '..' in Path(run.folder).parts
    ]
    if outside:
        raise UserError(
            f'{path}: the folder {outside[0]!r} of a run does not lie below {folder}: {mend}'
        )
    unknown = [column for column in average if column not in columns]
    if unknown:
        raise UserError(
            f'{path}: `average` names {unknown[0]!r}, which is none of `columns` ({", ".join(columns)})'
        )
    runs = []
    for run in plan:
        variant = (
            f'{name} {run.variant}' if run.variant.isdigit() else run.variant
        )  # as in lambda_d.py: the value alone
        results, cost = folder / run.folder / 'results.json', folder / run.folder / 'cost.json'
        runs.append(
            run._replace(
                variant=variant,
                results=_results(results, path, columns, average) if results.is_file() else {},
                cost=_cost(cost) if cost.is_file() else {},
            )
        )
    return WorkDir(title, columns + [AVERAGE] * bool(average), average, runs)


def _object(path: Path, mend: str) -> dict:
    try:
        content = read_json(path)
    except ValueError as error:
        raise UserError(f'{error}: {mend}') from error
    if not isinstance(content, dict):
        raise UserError(f'{path} holds no JSON object: {mend}')
    return content


def _results(path: Path, protocol: Path, columns: List[str], average: List[str]) -> Dict[str, Row]:
    """The accuracies of a run, with the average over columns."""
    mend = 'delete it and start tools/run_protocol.py again, which makes only what is missing'
    results = _object(path, mend)
    if not results or not all(
        isinstance(row, dict) and all(map(_is_number, row.values())) for row in results.values()
    ):
        raise UserError(
            f'{path} is not {{"tuner": {{"base": 82.7, ...}}, ...}} with numbers: {mend}'
        )
    known = list(dict.fromkeys(column for row in results.values() for column in row))
    for column in columns:
        for part in HARMONIC.get(column, (column,)):
            if part not in known:
                raise UserError(
                    f'{path} has no column {part!r}, it has {", ".join(known)}: correct `columns` of {protocol}, '
                    'or delete the results and start tools/run_protocol.py again'
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
