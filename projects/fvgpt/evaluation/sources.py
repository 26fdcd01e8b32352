"""Titles, colours and markers of the sources of predictions, the same in all tables and figures.

The order is that of the rows of a table.
"""

TITLES = dict(zero_shot='zero-shot CLIP', tuner='{tuner}', fvgpt='{tuner} + FVG-PT')
"""Source -> title; ``{tuner}`` is replaced by the name of the prompt tuner."""

STYLES = dict(zero_shot=('#666666', 's'), tuner=('#0072b2', 'o'), fvgpt=('#d55e00', 'D'))
"""Source -> colour and marker of matplotlib. The colours can be told apart by the colour-blind, the
markers in print without colours."""
