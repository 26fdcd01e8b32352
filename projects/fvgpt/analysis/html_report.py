"""The report as one HTML file that needs no other."""

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
    """A PNG as a data URI, photographs as JPEG, which takes a quarter of the room."""
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
    """The report's HTML.

    Args:
        summary: what :func:`~fvgpt.analysis.analyze` found. titles: of the sources. figures, examples: file name -> PNG.
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
    """A number of the summary, a dash where there is none."""
    return f'{value:.{digits}f}' if isinstance(value, (int, float)) and value == value else '-'
