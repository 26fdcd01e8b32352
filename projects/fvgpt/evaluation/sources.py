"""Titles, colours and markers of the sources of predictions, the same in all tables and figures.

The order is that of the rows of a table.
"""

from typing import Dict, Tuple

from ..names import Source

TITLES: Dict[str, str] = {
    Source.ZERO_SHOT: 'zero-shot CLIP',
    Source.TUNER: '{tuner}',
    Source.FVGPT: '{tuner} + FVG-PT',
}
"""Source -> title; ``{tuner}`` is replaced by the name of the prompt tuner."""

STYLES: Dict[str, Tuple[str, str]] = {
    Source.ZERO_SHOT: ('#666666', 's'),
    Source.TUNER: ('#0072b2', 'o'),
    Source.FVGPT: ('#d55e00', 'D'),
}
"""Source -> colour and marker of matplotlib. The colours can be told apart by the colour-blind, the
markers in print without colours."""
