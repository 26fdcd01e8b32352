"""From flat metrics to the table of base accuracy, new accuracy and their harmonic mean."""

from typing import Dict

TITLES = dict(zero_shot='zero-shot CLIP', tuner='{tuner}', fvgpt='{tuner} + FVG-PT')


def harmonic_mean(base: float, new: float) -> float:
    """H = 2 B N / (B + N), 0 when both are 0 (as in CoCoOp, Zhou et al., CVPR 2022)."""
    return 2 * base * new / (base + new) if base + new else 0.0


def harmonic_means(metrics: Dict[str, float]) -> Dict[str, float]:
    """``<source>/h`` of each source that has ``<source>/base`` and ``<source>/new``; ``<source>/<column>_h`` likewise."""
    means = {}
    for key, base in metrics.items():
        stem = key[: -len('base')]
        if key.endswith(('/base', '_base')) and f'{stem}new' in metrics:
            means[f'{stem}h'] = harmonic_mean(base, metrics[f'{stem}new'])
    return means


def nested_results(metrics: Dict[str, float]) -> Dict[str, Dict[str, float]]:
    """``{'tuner/base': 80.}`` -> ``{'tuner': {'base': 80.}}``, sources in the order of the table."""
    nested: Dict[str, Dict[str, float]] = {}
    for key, value in metrics.items():
        source, _, column = key.rpartition('/')
        if source:
            nested.setdefault(source, {})[column] = round(float(value), 4)
    order = list(TITLES)
    return dict(
        sorted(
            nested.items(),
            key=lambda item: order.index(item[0]) if item[0] in order else len(order),
        )
    )


def results_table(results: Dict[str, Dict[str, float]], tuner: str = 'tuner') -> str:
    """A text table with one line a source; ``tuner`` is the name of the tuning method."""
    columns = list(dict.fromkeys(column for row in results.values() for column in row))
    column_width = max([9, *(len(column) + 2 for column in columns)])
    titles = {source: TITLES.get(source, source).format(tuner=tuner) for source in results}
    width = max(len(title) for title in titles.values())
    head = ' ' * width + ''.join(
        f'{"H" if column == "h" else column:>{column_width}}' for column in columns
    )
    lines = [
        f'{titles[source]:<{width}}'
        + ''.join(
            f'{row[c]:{column_width}.2f}' if c in row else ' ' * column_width for c in columns
        )
        for source, row in results.items()
    ]
    return '\n'.join([head, *lines])
