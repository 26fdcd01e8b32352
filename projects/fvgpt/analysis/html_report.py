"""The report as a single HTML file, with all images inside."""

import base64
import io
from pathlib import Path
from typing import Any, Dict

import jinja2
from PIL import Image

from .attention import MAPS

TEMPLATE = Path(__file__).resolve().parents[1] / 'assets' / 'analysis' / 'report.html.jinja'
JPEG_QUALITY = 80


def embedded(png: bytes, photograph: bool = False) -> str:
    """Return a PNG as a data URI; a photograph as JPEG, which is a quarter of the size."""
    kind = 'png'
    if photograph:
        kind, buffer = 'jpeg', io.BytesIO()
        Image.open(io.BytesIO(png)).convert('RGB').save(buffer, 'JPEG', quality=JPEG_QUALITY)
        png = buffer.getvalue()
    return f'data:image/{kind};base64,{base64.b64encode(png).decode()}'


def render(
    summary: Dict[str, Any],
    titles: Dict[str, str],
    figures: Dict[str, bytes],
    examples: Dict[str, bytes],
) -> str:
    """Return the HTML of the report.

    Args:
        summary: content of ``summary.json``, see :func:`~fvgpt.analysis.analyze`.
        titles: source -> title.
        figures: file name -> PNG.
        examples: file name -> PNG with photographs.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters['number'] = _number
    zero_maps = sum(
        column[source].get(name, {}).get('without_map', 0)
        for column in summary['columns'].values()
        for source in titles
        for name in MAPS
    )
    return environment.from_string(TEMPLATE.read_text(encoding='utf-8')).render(
        summary=summary,
        titles=titles,
        maps=list(MAPS),
        zero_maps=zero_maps,
        figures={name: embedded(png) for name, png in figures.items()},
        examples={name: embedded(png, photograph=True) for name, png in examples.items()},
    )


def _number(value: Any, digits: int = 2) -> str:
    """Format a number of the summary; a dash if there is none."""
    return f'{value:.{digits}f}' if isinstance(value, (int, float)) and value == value else '-'
