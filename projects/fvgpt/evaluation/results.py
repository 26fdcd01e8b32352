"""From flat metrics to the table of base accuracy, new accuracy and their harmonic mean."""

from typing import Dict, Sequence

from .sources import TITLES


def harmonic_mean(base: float, new: float) -> float:
    """H = 2 B N / (B + N); 0 if both are 0 (CoCoOp, Zhou et al., CVPR 2022)."""
    return 2 * base * new / (base + new) if base + new else 0.0


def harmonic_means(metrics: Dict[str, float]) -> Dict[str, float]:
    """Compute the harmonic means of all pairs of base and new accuracies.

    Args:
        metrics: accuracies in percent, such as ``tuner/base`` and ``tuner/new``, or
            ``tuner/open_base`` and ``tuner/open_new``.

    Returns:
        Their harmonic means, here ``tuner/h`` and ``tuner/open_h``.
    """
    means = {}
    for key, base in metrics.items():
        stem = key[: -len('base')]
        if key.endswith(('/base', '_base')) and f'{stem}new' in metrics:
            means[f'{stem}h'] = harmonic_mean(base, metrics[f'{stem}new'])
    return means


def differences(metrics: Dict[str, float], pairs: Dict[str, Sequence[str]]) -> Dict[str, float]:
    """Compute differences of two columns, such as BG-gap, for each source.

    Args:
        metrics: accuracies in percent, such as ``tuner/mixed_same`` and ``tuner/mixed_rand``.
        pairs: name of the difference -> (minuend, subtrahend), names of columns, here
            ``dict(bg_gap=('mixed_same', 'mixed_rand'))``.

    Returns:
        The differences in points, here ``tuner/bg_gap``; those of columns that exist.
    """
    found = {}
    for key in metrics:
        source, _, column = key.rpartition('/')
        for name, (first, second) in pairs.items():
            if column == first and f'{source}/{second}' in metrics:
                found[f'{source}/{name}'] = metrics[key] - metrics[f'{source}/{second}']
    return found


def nested_results(metrics: Dict[str, float]) -> Dict[str, Dict[str, float]]:
    """Group metrics by source: ``{'tuner/base': 80.0}`` -> ``{'tuner': {'base': 80.0}}``.

    The sources are in the order of ``TITLES``, others follow. Values are rounded to 4 digits;
    metrics without a source are dropped.
    """
    nested: Dict[str, Dict[str, float]] = {}
    for key, value in metrics.items():
        source, _, column = key.rpartition('/')
        if source:
            nested.setdefault(source, {})[column] = round(float(value), 4)
    ordered = [source for source in TITLES if source in nested]
    ordered += [source for source in nested if source not in TITLES]
    return {source: nested[source] for source in ordered}


def results_table(results: Dict[str, Dict[str, float]], tuner: str = 'tuner') -> str:
    """Format results as a text table.

    Args:
        results: source -> column -> accuracy in percent, as :func:`nested_results` returns them.
        tuner: name of the prompt tuner in the titles of the rows.

    Returns:
        A line with the column names, then one line per source.
    """
    columns = list(dict.fromkeys(column for row in results.values() for column in row))
    column_width = max([9, *(len(column) + 2 for column in columns)])
    titles = {source: TITLES.get(source, source).format(tuner=tuner) for source in results}
    title_width = max(len(title) for title in titles.values())
    heads = [f'{"H" if column == "h" else column:>{column_width}}' for column in columns]
    lines = [' ' * title_width + ''.join(heads)]
    for source, row in results.items():
        cells = [
            f'{row[column]:{column_width}.2f}' if column in row else ' ' * column_width
            for column in columns
        ]
        lines.append(f'{titles[source]:<{title_width}}' + ''.join(cells))
    return '\n'.join(lines)
