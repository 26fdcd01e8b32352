"""The rooms of the package are those of CONTRIBUTING.md, and import only what is above them."""

import ast
import re
from pathlib import Path
from typing import Iterator, List

from tests.conftest import ROOT

PACKAGE = ROOT / 'projects' / 'fvgpt'
ROOMS = re.findall(r'^\| `(\w+)/` \|', (ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8'), re.M)


def imported_rooms(path: Path) -> Iterator[str]:
    """Rooms that a file of the package imports, at any place in it."""
    package = ['fvgpt', *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        modules: List[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parent = package[: len(package) + 1 - node.level] if node.level else []
            base = '.'.join([*parent, *([node.module] if node.module else [])])
            modules = [base, *(f'{base}.{alias.name}' for alias in node.names)]
        parts = [module.split('.') for module in modules]
        yield from (names[1] for names in parts if names[0] == 'fvgpt' and names[1:])


def test_every_room_has_a_line():
    rooms = {path.parent.name for path in PACKAGE.glob('*/__init__.py')}
    assert sorted(ROOMS) == sorted(rooms)


def test_a_room_imports_only_rooms_above_it():
    wrong = {
        f'{path.relative_to(PACKAGE)} imports {other}'
        for place, room in enumerate(ROOMS)
        for path in (PACKAGE / room).rglob('*.py')
        for other in imported_rooms(path)
        if other in ROOMS[place + 1 :]
    }
    assert wrong == set()
