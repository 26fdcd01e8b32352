"""The page of all recipes and of their keys."""

import re
from functools import cache
from pathlib import Path
from typing import Dict, Iterator, List

import recipe_keys
from mmengine.config import Config
from repository_links import ROOT

from fvgpt.recipes import MARK

CONFIGS = ROOT / 'configs'


def recipes(folder: str) -> List[Path]:
    return sorted((CONFIGS / folder).glob('*.py'))


def first_comment(path: Path) -> str:
    """The comment at the top of a file as one line, without the mark of generated files."""
    lines = [line for line in path.read_text(encoding='utf-8').splitlines() if line != MARK]
    head = lines[
        : next((i for i, line in enumerate(lines) if not line.startswith('#')), len(lines))
    ]
    return ' '.join(line.lstrip('# ') for line in head)


def bases(path: Path) -> List[str]:
    """The entries of a file's ``_base_`` as written there."""
    match = re.search(
        r'^_base_ = (\[.*?\]|\S+)$', path.read_text(encoding='utf-8'), re.MULTILINE | re.DOTALL
    )
    return re.findall(r"'([^']+)'", match[1]) if match else []


def about(path: Path) -> str:
    """Description of a recipe: its first comment, or else the stage 1 or the bases it builds on."""
    if first_comment(path):
        return _text(first_comment(path))
    stage_1 = re.search(
        r"^tuner_recipe = '.*/(\w+)\.py'", path.read_text(encoding='utf-8'), re.MULTILINE
    )
    if stage_1:
        return f'FVG-PT on `{stage_1[1]}.py`'
    parts = [
        path.parent / base for base in bases(path) if '/models/' in base or '/datasets/' in base
    ]
    return '; '.join(_text(first_comment(part)) for part in parts if first_comment(part))


def _text(comment: str) -> str:
    """A comment as Markdown for a table cell."""
    return re.sub(r'([*_|<\[\]])', r'\\\1', comment)


def _table(paths: List[Path]) -> List[str]:
    rows = [
        f'| [`{path.stem}`](../../{path.relative_to(ROOT).as_posix()}) | {about(path)} | '
        f'{" ".join(f"`{base}`" for base in bases(path))} |'
        for path in paths
    ]
    return ['', '| file | what it is | `_base_` |', '|---|---|---|', *rows]


def _groups() -> Iterator[tuple]:
    """Recipes by tuner: title, files."""
    by_tuner: Dict[str, List[Path]] = {}
    for path in recipes('fvgpt'):
        by_tuner.setdefault(tuner_of(path), []).append(path)
    for tuner, paths in by_tuner.items():
        yield tuner, sorted(paths, key=lambda path: path.stem.replace('_fvg', '') + path.stem)


@cache
def tuner_of(path: Path) -> str:
    """The type of a recipe's tuner."""
    model = Config.fromfile(path).model
    kind = (model.tuner if 'tuner' in model else model).type
    return kind.split('.')[-1]


def _published() -> List[str]:
    """A table of the sources of each data set, from the ``facts`` of its file."""
    lines = ['', '| data set | pieces |', '|---|---|']
    for path in sorted((CONFIGS / '_base_' / 'datasets').glob('*.py')):
        facts = Config.fromfile(path).get('facts', {})
        links = [
            f'[{piece.replace("_", " ")}]({link})'
            for piece, link in facts.get('published', {}).items()
            if link
        ]
        lines += [f'| {facts["title"]} | {", ".join(links)} |'] if 'title' in facts else []
    return lines


HEAD = """# Recipes and their keys

Every file of `configs/`. A recipe is trained by `python tools/train.py FILE`, a protocol is run by
`python tools/run_protocol.py FILE`.

## Keys to set

In a config of your own, or on the command line as `--cfg-options KEY=VALUE`. Defaults are those of
`coop_fvg_imagenet.py`, or of the parameter; other recipes differ. Any other key of a recipe can be
set the same way: those of a `type` are its parameters in the reference."""


def page() -> str:
    lines = [HEAD, *recipe_keys.tables()]
    for tuner, paths in _groups():
        lines += ['', f'## {tuner}', *_table(paths)]
    lines += ['', '## Protocols', *_table(recipes('protocols'))]
    lines += ['', '## Mixed with parts of OpenMMLab', *_table(recipes('mixing'))]
    lines += ['', '## Where data sets are published', *_published()]
    lines += ['', '## Parts', '', 'The files in `configs/_base_/` that recipes are built from.']
    lines += _table(sorted((CONFIGS / '_base_').rglob('*.py')))
    return '\n'.join(lines) + '\n'
