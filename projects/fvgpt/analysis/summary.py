"""The numbers of an analysis as nested dicts, one per column of the results.

``summary.json``, the report and the visualizer show them.
"""

from typing import Any, Dict, Iterator, List, Tuple

import numpy as np

from ..names import Source
from .attention import MAPS
from .calibration import auroc, expected_calibration_error, gate_summary, score_bins
from .collect import MASKS, Column
from .per_class import changed


def mean_and_error(values: np.ndarray) -> Dict[str, float]:
    """Compute mean and standard error of the values that are finite.

    Returns:
        ``mean``; ``error``: standard deviation / sqrt(n), 0 for n = 1; ``images``: n. Empty if n =
        0.
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return {}
    error = float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else 0.0
    return dict(mean=float(values.mean()), error=error, images=len(values))


def source_summary(column: Column, source: str) -> Dict[str, Any]:
    """Summarise the predictions of a source.

    Returns:
        ``accuracy``, ``confidence`` and ``ece`` in percent. With masks also ``shift``: D_fg in
        nats, the AUROC of errors by D_fg, and the accuracy on these images; and per map the share
        inside the mask, and ``without_map``, the number of images with a mask whose map is zero.
    """
    correct, confidence = column.correct(source), column.values[f'{source}/confidence']
    summary: Dict[str, Any] = dict(
        accuracy=100 * float(correct.mean()),
        confidence=100 * float(confidence.mean()),
        ece=100 * expected_calibration_error(score_bins(confidence, correct)),
    )
    known = column.known(f'{source}/shift')
    if known.any():
        shift = column.values[f'{source}/shift'][known]
        summary['shift'] = dict(
            mean_and_error(shift),
            auroc_of_errors=auroc(shift, ~correct[known]),
            accuracy=100 * float(correct[known].mean()),
        )
    for name in MAPS:
        if column.known(f'{source}/{name}').any():
            share = column.values[f'{source}/{name}']
            summary[name] = dict(
                mean_and_error(share),
                without_map=int((~np.isfinite(share) & column.known('area')).sum()),
            )
    return summary


def foreground_gate(column: Column) -> Tuple[np.ndarray, np.ndarray]:
    """Return r and r* of the images that have both."""
    known = column.known('r')
    if not known.any():
        return np.empty(0), np.empty(0)
    return column.values['r'][known], column.values['r_star'][known]


def backbone_gate(column: Column) -> Tuple[np.ndarray, np.ndarray]:
    """Return b, and whether CLIP is right, of the images on which one of tuner and CLIP is right.

    Images on which both or neither are right show nothing about b.
    """
    tuner, clip = column.correct(Source.TUNER), column.correct(Source.ZERO_SHOT)
    chosen = (tuner != clip) & column.known('b')
    b = column.values['b'][chosen] if 'b' in column.values else np.empty(0)
    return b, clip[chosen]


def column_summary(column: Column, sources: List[str]) -> Dict[str, Any]:
    """Summarise a column: data set, sources and gates.

    ``fixed`` and ``broken`` count the images that only the last source, or only the one before it,
    predicts correctly. ``change`` of D_fg and of the shares is the difference to the previous
    source; ``change_error`` is the standard error of the differences per image.
    """
    fixed, broken = changed(*(column.correct(source) for source in sources[-2:]))
    summary: Dict[str, Any] = dict(
        branch=column.branch,
        images=len(column.paths),
        of=column.total,
        classes=len(column.classes),
        masks={name: int((column.values['mask'] == i).sum()) for i, name in enumerate(MASKS)},
        fixed=len(fixed),
        broken=len(broken),
    )
    if column.known('area').any():
        summary['area'] = float(np.nanmean(column.values['area']))
    summary.update({source: source_summary(column, source) for source in sources})
    for before, after in zip(sources, sources[1:]):
        for key in {'shift', *MAPS} & set(summary[after]):
            step = mean_and_error(
                column.values[f'{after}/{key}'] - column.values[f'{before}/{key}']
            )
            summary[after][key].update(change=step.get('mean'), change_error=step.get('error'))
    r, r_star = foreground_gate(column)
    if len(r):
        summary['foreground_gate'] = gate_summary(r, r_star)
    if 'b' in column.values:
        summary['backbone_gate'] = dict(
            gate_summary(*backbone_gate(column)), trust_over_all=float(column.values['b'].mean())
        )
    return finite(summary)


def finite(nested: Dict[str, Any]) -> Dict[str, Any]:
    """Remove None, nan and infinity, which JSON cannot represent, from nested dicts."""
    return {
        key: finite(value) if isinstance(value, dict) else value
        for key, value in nested.items()
        if value is not None and (not isinstance(value, float) or np.isfinite(value))
    }


def overview(summary: Dict[str, Any], titles: Dict[str, str]) -> str:
    """Format the summary for the terminal, one line per column and source."""
    lines = []
    for name, column in summary['columns'].items():
        masks = column['masks']
        lines.append(
            f'{name}: {column["images"]} images, {masks["usable"]} with a usable mask '
            f'({masks["missing"]} missing, {masks["empty"]} empty); {column["fixed"]} fixed, '
            f'{column["broken"]} broken'
        )
        for source, title in titles.items():
            found = column[source]
            shift = f', D_fg {found["shift"]["mean"]:.3f}' if 'shift' in found else ''
            shares = ''.join(
                f', {MAPS[key]} {found[key]["mean"]:.3f} inside'
                for key in MAPS
                if 'mean' in found.get(key, {})
            )
            lines.append(
                f'  {title}: accuracy {found["accuracy"]:.2f}, ECE '
                f'{found["ece"]:.2f}{shift}{shares}'
            )
    return '\n'.join(lines)


def scalars(nested: Dict[str, Any], path: str = '') -> Iterator[Tuple[str, float]]:
    """Yield the numbers in nested dicts with their paths, such as ``base/tuner/accuracy``."""
    for key, value in nested.items():
        if isinstance(value, dict):
            yield from scalars(value, f'{path}{key}/')
        elif isinstance(value, (int, float)):
            yield f'{path}{key}', value
