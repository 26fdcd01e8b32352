"""The key ``compare`` of a protocol: which two of its rows to subtract, and what to say of it."""

from typing import Any, Collection, Mapping, NamedTuple

from ..evaluation import TITLES
from ..io.errors import UserError
from ..names import Source

_KEYS = ('of', 'minus', 'column', 'sentence')


class Side(NamedTuple):
    """One side of a difference: a source of predictions in the runs of a variant."""

    variant: str
    source: str = Source.FVGPT.value


class Comparison(NamedTuple):
    """An entry of ``compare`` of a protocol.

    Attributes:
        of, minus: the two sides. In a protocol each is the name of a variant, whose FVG-PT is
            meant, or ``dict(variant=..., source='tuner')``.
        column: column that ``sentence`` is about.
        sentence: text of the report, in which ``{difference}`` becomes ``+1.20 ± 0.85`` and
            ``{tuner}`` the name of the tuner. '' has only a line in the table of differences.
    """

    of: Side
    minus: Side
    column: str = ''
    sentence: str = ''


def read_comparison(
    entry: Any, variants: Collection[str], columns: Collection[str], where: str
) -> Comparison:
    """Check an entry of ``compare``.

    Args:
        entry: of the protocol.
        variants, columns: of the protocol.
        where: the protocol, for messages.

    Raises:
        UserError: a key is missing or unknown, or it names an unknown variant, source or column.
    """
    if not isinstance(entry, Mapping) or not {'of', 'minus'} <= set(entry) <= set(_KEYS):
        raise UserError(f'{where}: an entry of `compare` has {", ".join(_KEYS)}, not {entry!r}')
    sides = []
    for key in ('of', 'minus'):
        given = entry[key] if isinstance(entry[key], Mapping) else dict(variant=entry[key])
        side = Side(given.get('variant', ''), given.get('source', Side('').source))
        for what, value, known in (
            ('variant', side.variant, variants),
            ('source', side.source, tuple(TITLES)),
        ):
            if value not in known:
                raise UserError(
                    f'{where}: `compare` names the unknown {what} {value!r}; known are '
                    f'{", ".join(map(repr, map(str, known)))}'
                )
        sides.append(side)
    of, minus = sides
    comparison = Comparison(of, minus, entry.get('column', ''), entry.get('sentence', ''))
    if comparison.sentence and comparison.column not in columns:
        raise UserError(
            f'{where}: `compare` has a sentence about the column {comparison.column!r}, which is '
            f'not one of `columns` ({", ".join(columns)})'
        )
    return comparison
