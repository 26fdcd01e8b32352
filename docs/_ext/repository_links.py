"""Relative links of the Markdown files: written for GitHub, checked, and adapted for Sphinx."""

import os
import re
from pathlib import Path
from typing import Dict, Iterator, List

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / 'docs'
# Files outside docs/ that are pages of the documentation as well: page -> file
COPIED = {
    'generated/readme': 'README.md',
    'generated/contributing': 'CONTRIBUTING.md',
    'generated/speed': 'benchmarks/README.md',
}
_CODE = re.compile(r'^(```+|~~~+).*?^\1\s*$|`[^`\n]+`|<!--.*?-->', re.MULTILINE | re.DOTALL)
_LINK = re.compile(r'(?<=\]\()([^()\s]+)(?=\))')
_HEADING = re.compile(r'^#{1,6} +(.+?) *#*$', re.MULTILINE)


def documents() -> List[Path]:
    """The Markdown files that are written by hand."""
    return [*(ROOT / file for file in COPIED.values()), *sorted(DOCS.glob('*.md'))]


def links(text: str) -> Iterator[re.Match]:
    """The targets of all links and images outside code."""
    code = [match.span() for match in _CODE.finditer(text)]
    for match in _LINK.finditer(text):
        if not any(start <= match.start() < end for start, end in code):
            yield match


def is_external(target: str) -> bool:
    return bool(re.match(r'[a-z]+:', target))


def anchors(text: str) -> List[str]:
    """The anchors that GitHub gives to the headings of a document."""
    fences = re.compile(r'^(```+).*?^\1\s*$', re.MULTILINE | re.DOTALL)
    headings = (
        re.sub(r'\[([^]]*)\]\([^)]*\)', r'\1', title)
        for title in _HEADING.findall(fences.sub('', text))
    )
    return [re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-') for title in headings]


def broken_links(document: Path) -> List[str]:
    """Relative links of a document without a target, one line per link."""
    text, found = document.read_text(encoding='utf-8'), []
    for match in links(text):
        path, _, anchor = match[0].partition('#')
        target = (document.parent / path).resolve() if path else document
        line = text[: match.start()].count('\n') + 1
        where = f'{document.relative_to(ROOT)}, line {line}: {match[0]}'
        if is_external(match[0]):
            continue
        if not target.exists() or ROOT not in target.parents:
            found.append(f'{where} does not exist')
        elif (
            anchor
            and target.suffix == '.md'
            and anchor not in anchors(target.read_text(encoding='utf-8'))
        ):
            found.append(f'{where}: no heading has this anchor')
    return found


def _pages() -> Dict[Path, Path]:
    """Markdown file -> the page that shows it."""
    pages = {path: path for path in DOCS.glob('*.md')}
    return {**pages, **{ROOT / file: DOCS / f'{page}.md' for page, file in COPIED.items()}}


def turn_links(app, docname: str, source: List[str]) -> None:
    """Sphinx event ``source-read``: adapt links to, and in, the pages of COPIED files."""
    page = DOCS / f'{docname}.md'
    folder = (ROOT / COPIED[docname]).parent if docname in COPIED else page.parent
    pages, text, end, turned = _pages(), source[0], 0, []
    for match in links(text):
        path, hash_, anchor = match[0].partition('#')
        if path and not is_external(match[0]):
            target = (folder / path).resolve()
            relative = Path(os.path.relpath(pages.get(target, target), page.parent)).as_posix()
            turned += [text[end : match.start()], relative + hash_ + anchor]
            end = match.end()
    source[0] = ''.join([*turned, text[end:]])
