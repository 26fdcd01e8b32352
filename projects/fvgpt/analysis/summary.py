"""What was found, in numbers: one nested dict a column, which summary.json, the report and the visualizer all show."""

from typing import Any, Dict, Iterator, List, Tuple

import numpy as np

from .attention import MAPS
from .calibration import auroc, expected_calibration_error, gate_summary, score_bins
from .collect import MASKS, Column
from .per_class import changed


def mean_and_error(values: np.ndarray) -> Dict[str, float]:
    """Mean and standard error (deviation over the images / sqrt n) of the known values; nothing where there are none."""
    values = values[np.isfinite(values)]
    if not len(values):
        return {}
    error = float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else 0.0
    return dict(mean=float(values.mean()), error=error, images=len(values))


def source_summary(column: Column, source: str) -> Dict[str, Any]:
    """Accuracy and ECE in percent; where masks are, D_fg in nats with the AUROC of finding errors by it, and the shares of the
    maps inside the mask."""
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
    """r and r* of the images of which the gate was asked."""
    judged = column.known('r')
    r, r_star = (
        column.values[key][judged] if judged.any() else np.empty(0) for key in ('r', 'r_star')
    )
    return r, r_star


def backbone_gate(column: Column) -> Tuple[np.ndarray, np.ndarray]:
    """b of the images of which exactly one of tuner and CLIP is right, and whether that is CLIP."""
    tuner, clip = column.correct('tuner'), column.correct('zero_shot')
    chosen = (tuner != clip) & column.known('b')
    return (column.values['b'][chosen] if 'b' in column.values else np.empty(0)), clip[chosen]


def column_summary(column: Column, sources: List[str]) -> Dict[str, Any]:
    """All of it; ``fixed`` and ``broken`` count the images that changed sides from the last source but one to the last.

    ``change`` of D_fg and of the shares is against the source before; its error is that of the differences image by image.
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
    """Without what is not a number: JSON has no word for it."""
    return {
        key: finite(value) if isinstance(value, dict) else value
        for key, value in nested.items()
        if value is not None and (not isinstance(value, float) or np.isfinite(value))
    }


def overview(summary: Dict[str, Any], titles: Dict[str, str]) -> str:
    """A line a source and column for the terminal."""
    lines = []
    for name, column in summary['columns'].items():
        masks = column['masks']
        lines.append(
            f'{name}: {column["images"]} images, {masks["usable"]} with a usable mask ({masks["missing"]} missing, '
            f'{masks["empty"]} empty); {column["fixed"]} fixed, {column["broken"]} broken'
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
                f'  {title}: accuracy {found["accuracy"]:.2f}, ECE {found["ece"]:.2f}{shift}{shares}'
            )
    return '\n'.join(lines)


def scalars(nested: Dict[str, Any], path: str = '') -> Iterator[Tuple[str, float]]:
    """The numbers in a nested dict, as ``base/tuner/accuracy``."""
    for key, value in nested.items():
        if isinstance(value, dict):
            yield from scalars(value, f'{path}{key}/')
        elif isinstance(value, (int, float)):
            yield f'{path}{key}', value
