"""Numbers that papers print, for the place beside ours. They are data: ``assets/published_numbers.json``."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence

AVERAGE = 'average'


class Published(NamedTuple):
    """A printed row: where it stands, and our columns' numbers in it, in percent."""

    source: str
    values: Dict[str, float]


@cache
def numbers() -> dict:
    """The content of the file."""
    path = Path(__file__).parents[1] / 'assets' / 'published_numbers.json'
    return json.loads(path.read_text(encoding='utf-8'))


def _plain(name: str) -> str:
    return re.sub(r'[^a-z0-9.+]', '', name.lower())


@cache
def dataset_key(name: str) -> str:
    """The file's name of a data set (``flowers102`` -> ``oxford_flowers``); any other name comes back as it is."""
    for key, others in numbers()['datasets'].items():
        if _plain(name) in map(_plain, (key, *others)):
            return key
    return name


def title(name: str) -> str:
    """A tuner or data set as papers write it; any other name comes back as it is."""
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
    """Printed rows for a row of ours.

    Args:
        method: ``zero_shot`` (of any tuner), ``tuner`` or ``fvgpt``. variant: '' is the plain recipe.
        dataset: trained on, or ``average`` for the average over the eleven data sets of base-to-new tables.
        columns: ours. average: the columns that our column ``average`` is over; a printed one is over the ten targets.
    """
    own_average = {dataset_key(column) for column in average} == set(
        numbers()['cross_dataset_targets']
    )
    names = {column: dataset_key(column) for column in columns if column != AVERAGE or own_average}
    found = []
    for row in numbers()['accuracy']:
        if row['method'] != method or row.get('tuner', tuner) != tuner:
            continue
        if _plain(variant) not in map(_plain, row.get('variants', [''])):
            continue
        values = row['values'].get(dataset_key(dataset), {})
        values = {column: values[name] for column, name in names.items() if name in values}
        if set(values) - {dataset}:  # the source alone is no row of a cross-dataset table
            found.append(Published(row['source'], values))
    return found
