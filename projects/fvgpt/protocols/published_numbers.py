"""Numbers that papers report, to be shown beside measured ones.

The data is in ``assets/published_numbers.json``.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence

AVERAGE = 'average'


class Published(NamedTuple):
    """A row of a published table.

    Attributes:
        source: paper and table.
        values: column of our table -> accuracy in percent.
    """

    source: str
    values: Dict[str, float]


@cache
def numbers() -> dict:
    """Return the content of ``published_numbers.json``."""
    path = Path(__file__).parents[1] / 'assets' / 'published_numbers.json'
    return json.loads(path.read_text(encoding='utf-8'))


def _normalised(name: str) -> str:
    """A name without upper case, spaces, hyphens and underscores."""
    return re.sub(r'[^a-z0-9.+]', '', name.lower())


@cache
def dataset_key(name: str) -> str:
    """Return a data set's key in the file (``flowers102`` -> ``oxford_flowers``).

    An unknown name is returned unchanged.
    """
    for key, others in numbers()['datasets'].items():
        if _normalised(name) in map(_normalised, (key, *others)):
            return key
    return name


def title(name: str) -> str:
    """Return the name of a tuner or data set as papers write it (``coop`` -> ``CoOp``).

    An unknown name is returned unchanged.
    """
    if name in numbers()['titles']:
        return numbers()['titles'][name]
    return numbers()['datasets'].get(dataset_key(name), [name])[0]


def published(
    method: str,
    tuner: str,
    variant: str,
    dataset: str,
    columns: Sequence[str],
    average: Sequence[str],
) -> List[Published]:
    """Find the published rows that correspond to a row of our tables.

    Args:
        method: the source of predictions: ``zero_shot`` (the same for all tuners), ``tuner`` or
            ``fvgpt``.
        tuner: name of the prompt tuner, as in the names of recipes.
        variant: variant of the protocol; '' is the plain recipe.
        dataset: the data set of training, or ``average`` for the average over the eleven data sets
            of base-to-new tables.
        columns: columns of our table.
        average: the columns that our column ``average`` is the mean of. Published averages of
            cross-dataset tables are over the ten target data sets and are returned only if these
            are the same.
    """
    targets = set(numbers()['cross_dataset_targets'])
    same_average = {dataset_key(column) for column in average} == targets
    names = {column: dataset_key(column) for column in columns if column != AVERAGE or same_average}
    found = []
    for row in numbers()['accuracy']:
        if row['method'] != method or row.get('tuner', tuner) != tuner:
            continue
        if _normalised(variant) not in map(_normalised, row.get('variants', [''])):
            continue
        values = row['values'].get(dataset_key(dataset), {})
        values = {column: values[name] for column, name in names.items() if name in values}
        if set(values) - {
            dataset
        }:  # the data set of training alone is not a row of a cross-dataset table
            found.append(Published(row['source'], values))
    return found
