"""The tables of a report, as data.

Per group (tuner and variant) a table has a line for each source of predictions, for the gain of
FVG-PT over its tuner, and for the published numbers.
"""

from dataclasses import dataclass, field
from statistics import mean
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

from ..evaluation import TITLES
from ..names import Source
from .published_numbers import AVERAGE, dataset_key, numbers, published, title
from .statistics import HARMONIC, Row, center, paired_difference, spread
from .work_dir import COST_COLUMNS, Run, WorkDir

Group = Tuple[str, str]
"""Tuner and variant. As a scope, ('', '') is all groups and (tuner, '') all variants."""

COLUMN_TITLES = dict(
    all='all classes',
    h='H',
    open_h='open H',
    open_base='open base',
    open_new='open new',
    in9_original='IN-9 original',
    in9_mixed_same='IN-9 mixed-same',
    in9_mixed_rand='IN-9 mixed-rand',
    in9_only_fg='IN-9 only-fg',
    bg_gap='BG-gap',
    counter_gap='common - counter',
    imagenet_s='ImageNet-S',
    imagenet_s_fg='ImageNet-S foreground',
    imagenet_s_bg='ImageNet-S background',
    all_groups='mean over groups',
    all_worst='worst group',
    trainable_parameters='parameters',
    tuning_images_per_second='tuning images/s',
    inference_images_per_second='inference images/s',
    peak_memory_mb='peak memory (MB)',
)


class Cell(NamedTuple):
    """A number of a table, its standard deviation, and the limits of its confidence interval."""

    value: float
    sd: Optional[float] = None
    low: Optional[float] = None
    high: Optional[float] = None


@dataclass(frozen=True)
class Line:
    """A line of a table.

    Args:
        kind: a source (``zero_shot``, ``tuner``, ``fvgpt``), ``gain``, ``difference``,
            ``published`` or ``cost``.
        tuner: the tuner that it belongs to; '' if it is the same for all.
        variant: the variant that it belongs to; '' if it is the same for all.
        label: title of the line.
        cells: column -> number; columns without a number are missing.
        count: number of seeds, data sets or runs that the numbers are computed from.
        source: paper and table of published numbers.
    """

    kind: str
    tuner: str
    variant: str
    label: str
    cells: Dict[str, Cell]
    count: str = ''
    source: str = ''


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        title: title of the table.
        columns: names of the columns.
        counted: what the lines' ``count`` counts: ``seeds``, ``data sets`` or ``runs``.
        groups: the tuners and variants that it contains.
        lines: the lines, in order.
        notes: sentences to be shown below it.
    """

    title: str
    columns: List[str]
    counted: str
    groups: List[Group]
    lines: List[Line]
    notes: List[str] = field(default_factory=list)


@dataclass
class Sample:
    """The accuracies that a line is computed from.

    Args:
        rows: seed, or data set -> accuracies. Their center is shown.
        over_seeds: accuracies per seed. Their standard deviation is shown.
        planned: number of rows that the protocol has when all its runs are done.
    """

    rows: Dict[Any, Row]
    over_seeds: List[Row]
    planned: int

    @property
    def count(self) -> str:
        """Number of rows, such as ``3``, or ``2 of 3`` if some are missing."""
        if len(self.rows) == self.planned:
            return str(len(self.rows))
        return f'{len(self.rows)} of {self.planned}'

    @property
    def signature(self) -> tuple:
        """Key that is equal for samples with equal accuracies.

        If all rows are equal (zero-shot CLIP does not depend on the seed), it contains only one, so
        that the number of seeds does not matter.
        """
        rows = [(key, *sorted(row.items())) for key, row in sorted(self.rows.items())]
        return tuple(rows) if len({row[1:] for row in rows}) > 1 else rows[0][1:]


def accuracy_tables(work: WorkDir, wide: int) -> List[Table]:
    """Make the table of averages over data sets, if there are several, and one table per data set.

    Args:
        work: what the runs of a protocol found.
        wide: with more columns than this, each tuner gets tables of its own.
    """
    by_dataset: Dict[str, Dict[Group, List[Run]]] = {}
    for run in work.runs:
        by_dataset.setdefault(run.dataset, {}).setdefault((run.tuner, run.variant), []).append(run)
    all_groups = list(dict.fromkeys((run.tuner, run.variant) for run in work.runs))
    tuners = list(dict.fromkeys(tuner for tuner, _ in all_groups))
    wide_tables = len(work.columns) > wide
    tables = []
    for members in [[tuner] for tuner in tuners] if wide_tables else [tuners]:
        groups = [group for group in all_groups if group[0] in members]
        suffix = f', {title(members[0])}' if wide_tables and len(tuners) > 1 else ''
        if len(by_dataset) > 1:
            tables += _average_tables(work, by_dataset, groups, suffix)
        for dataset, runs in by_dataset.items():
            samples = {
                group: _seeds(runs[group])
                for group in groups
                if any(run.results for run in runs.get(group, []))
            }
            pairs = {group: _pairs(samples[group]) for group in samples}
            lines = _lines(work, dataset, samples, pairs)
            if lines:
                tables.append(
                    Table(title(dataset) + suffix, work.columns, 'seeds', list(samples), lines)
                )
    return tables


def _seeds(runs: List[Run]) -> Dict[str, Sample]:
    """Return source -> accuracies per seed, for one group and data set."""
    samples = {}
    for source in _sources(runs):
        rows = {run.seed: run.results[source] for run in runs if source in run.results}
        samples[source] = Sample(rows, list(rows.values()), len(runs))
    return samples


def _sources(runs: Iterable[Run]) -> List[str]:
    """Return the sources that runs have results of, in the order of ``TITLES``."""
    found = {source for run in runs for source in run.results}
    return [source for source in TITLES if source in found] + sorted(found - set(TITLES))


def _pairs(samples: Dict[str, Sample]) -> List[Tuple[Row, Row]]:
    """Pair the rows of the tuner and of FVG-PT by their seed."""
    if not {Source.TUNER, Source.FVGPT} <= set(samples):
        return []
    before, after = samples[Source.TUNER].rows, samples[Source.FVGPT].rows
    return [(before[key], after[key]) for key in before if key in after]


def _mean_row(rows: Iterable[Row]) -> Row:
    """Average rows. Harmonic means are left out, since they follow from the averaged halves."""
    rows = list(rows)
    means = {column: center(rows, column) for column in rows[0] if column not in HARMONIC}
    return {column: value for column, value in means.items() if value is not None}


def _average_tables(
    work: WorkDir, by_dataset: Dict[str, Dict[Group, List[Run]]], groups: List[Group], suffix: str
) -> List[Table]:
    """Make the table of averages over data sets, each of which counts as one row.

    A data set without results of all sources is left out, with a note.

    Returns:
        The table in a list, which is empty if no data set is complete.
    """
    samples: Dict[Group, Dict[str, Sample]] = {}
    pairs: Dict[Group, List[Tuple[Row, Row]]] = {}
    notes = []
    for group in groups:
        runs = {dataset: of[group] for dataset, of in by_dataset.items() if group in of}
        wanted = _sources(run for of in runs.values() for run in of)
        seeds = {dataset: _seeds(of) for dataset, of in runs.items()}
        complete = [dataset for dataset in runs if wanted and set(seeds[dataset]) == set(wanted)]
        if len(complete) < len(runs):
            missing = ', '.join(title(dataset) for dataset in runs if dataset not in complete)
            notes.append(
                f'{line_label("fvgpt", *group)}: without {missing}, not all sources of which are '
                'done.'
            )
        if not complete or len(runs) < 2:
            continue
        samples[group] = {
            source: _average([seeds[dataset][source] for dataset in complete], complete, len(runs))
            for source in wanted
        }
        pairs[group] = []
        for dataset in complete:
            # Only the seeds that both sources have count in the gain.
            paired = _pairs(seeds[dataset])
            if paired:
                before, after = zip(*paired)
                pairs[group].append((_mean_row(before), _mean_row(after)))
    lines = _lines(work, AVERAGE, samples, pairs)
    if not lines:
        return []
    name = f'Average over data sets{suffix}'
    return [Table(name, work.columns, 'data sets', list(samples), lines, notes)]


def _average(samples: List[Sample], datasets: List[str], planned: int) -> Sample:
    """Average the samples of data sets.

    The standard deviation is over the seeds that all data sets have.
    """
    common = set.intersection(*(set(sample.rows) for sample in samples))
    over_seeds = [_mean_row(sample.rows[seed] for sample in samples) for seed in sorted(common)]
    rows = {dataset: _mean_row(sample.rows.values()) for dataset, sample in zip(datasets, samples)}
    return Sample(rows, over_seeds, planned)


def _lines(
    work: WorkDir,
    dataset: str,
    samples: Dict[Group, Dict[str, Sample]],
    pairs: Dict[Group, List[Tuple[Row, Row]]],
) -> List[Line]:
    """Make the lines of a table: sources, gains and published rows.

    A line that is the same for several groups appears once.

    Args:
        work: what the runs of a protocol found.
        dataset: the data set, or ``average``.
        samples: group -> source -> accuracies.
        pairs: group -> pairs of accuracies without and with FVG-PT.
    """
    lines: List[Line] = []
    shown = set()
    for group in samples:
        printed: List[Line] = []
        for source in samples[group]:
            scope, sample = _shared(source, group, samples)
            if (source, scope) not in shown:
                shown.add((source, scope))
                values = {
                    column: center(list(sample.rows.values()), column) for column in work.columns
                }
                cells = {
                    column: Cell(value, spread(sample.over_seeds, column))
                    for column, value in values.items()
                    if value is not None
                }
                lines.append(Line(source, *scope, line_label(source, *scope), cells, sample.count))
                published_lines = _published_lines(work, dataset, source, scope, set(sample.rows))
                printed += [line for line in published_lines if line not in lines]
        gains = {column: paired_difference(pairs[group], column) for column in work.columns}
        cells = {
            column: Cell(gain.estimate, None, gain.low, gain.high)
            for column, gain in gains.items()
            if gain
        }
        if cells:
            lines.append(
                Line(
                    'gain',
                    *group,
                    f'gain over {line_label("tuner", *group)}',
                    cells,
                    str(len(pairs[group])),
                )
            )
        lines += printed
    return lines


def _shared(
    source: str, group: Group, samples: Dict[Group, Dict[str, Sample]]
) -> Tuple[Group, Sample]:
    """Find the widest scope in which a source has the same accuracies as in this group.

    Zero-shot CLIP may be the same in all groups, a tuner in all variants of FVG-PT on it.

    Returns:
        The scope, and the sample with the most rows in it.
    """
    for scope in dict(zero_shot=[('', ''), (group[0], '')], tuner=[(group[0], '')]).get(source, []):
        members = [
            of[source]
            for other, of in samples.items()
            if source in of and scope[0] in ('', other[0])
        ]
        if len({member.signature for member in members}) == 1:
            return scope, max(members, key=lambda member: len(member.rows))
    return group, samples[group][source]


def line_label(source: str, tuner: str, variant: str) -> str:
    """Title of a line: source, tuner and variant."""
    name = TITLES.get(source, '{tuner}: ' + source).format(tuner=title(tuner))
    if source == Source.ZERO_SHOT and tuner:
        name += f' ({title(tuner)})'
    return ', '.join(filter(None, (name, variant)))


def _published_lines(
    work: WorkDir, dataset: str, source: str, scope: Group, behind: set
) -> List[Line]:
    """Make the lines of published numbers for one of our lines.

    Args:
        work: what the runs of a protocol found.
        dataset: the data set, or ``average``.
        source: source of predictions.
        scope: tuner and variant of our line.
        behind: keys of the rows of our line. With an average these are data sets; if others than
            the papers' eleven are among them, there is nothing to compare with.
    """
    scope = ('', scope[1]) if source == Source.ZERO_SHOT else scope
    label = f'published: {line_label(source, *scope)}'
    if dataset == AVERAGE:
        eleven = {'imagenet', *numbers()['cross_dataset_targets']}
        if not {dataset_key(name) for name in behind} <= eleven:
            return []
        label += ', 11 data sets'
    rows = published(source, *scope, dataset, work.columns, work.average)
    return [
        Line(
            'published',
            *scope,
            label,
            {column: Cell(value) for column, value in row.values.items()},
            source=row.source,
        )
        for row in rows
    ]


def cost_table(work: WorkDir) -> Optional[Table]:
    """Make the table of costs: mean and standard deviation over runs on the same device.

    Returns:
        None if no costs were measured.
    """
    measured: Dict[Tuple[str, str, str, str], List[Dict[str, Any]]] = {}
    for run in work.runs:
        if run.cost:
            trained = Source.FVGPT if Source.FVGPT in run.results else Source.TUNER
            key = (trained, run.tuner, run.variant, str(run.cost.get('device', '')))
            measured.setdefault(key, []).append(run.cost)
    lines = []
    for (source, tuner, variant, device), costs in measured.items():
        label = line_label(source, tuner, variant) + (f' on {device}' if device else '')
        rows = {column: [cost for cost in costs if column in cost] for column in COST_COLUMNS}
        cells = {
            column: Cell(mean(cost[column] for cost in of), spread(of, column))
            for column, of in rows.items()
            if of
        }
        lines.append(Line('cost', tuner, variant, label, cells, str(len(costs))))
    on_papers_data = any(
        dataset_key(run.dataset) in numbers()['datasets'] for run in work.runs if run.cost
    )
    for row in numbers()['cost'] if on_papers_data else []:
        label = f'published: {line_label(row["method"], row["tuner"], "")}, on other hardware'
        cells = {column: Cell(value) for column, value in row['values'].items()}
        lines.append(Line('published', row['tuner'], '', label, cells, source=row['source']))
    return Table('Cost', list(COST_COLUMNS), 'runs', [], lines) if measured else None


def column_title(column: str) -> str:
    """Return the heading of a column."""
    return COLUMN_TITLES.get(column, title(column))


def _signed(points: float) -> str:
    # -0.001 is rounded to -0.0; adding 0.0 makes it 0.0.
    return f'{round(points, 2) + 0.0:+.2f}'


def line_text(line: Line, column: str) -> str:
    """Format a number of a line: ``82.70 ± 0.93``, or a gain: ``+0.40 [-0.35, +1.15]``.

    '' if the line has no number in this column.
    """
    if column not in line.cells:
        return ''
    value, sd, low, high = line.cells[column]
    if line.kind in ('gain', 'difference'):
        return f'{_signed(value)} ' + (
            '(n = 1)' if low is None or high is None else f'[{_signed(low)}, {_signed(high)}]'
        )
    if column == 'trainable_parameters':
        return f'{value:,.0f}' + (f' ± {sd:,.0f}' if sd else '')
    return f'{value:.2f}' + ('' if sd is None else f' ± {sd:.2f}')
