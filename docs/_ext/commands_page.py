"""The page of all commands in tools/ with their options."""

import argparse
import ast
import contextlib
import io
import os
import runpy
import sys
from pathlib import Path
from typing import List
from unittest.mock import patch

from repository_links import ROOT

TOOLS = ROOT / 'tools'
_HELP = dict(COLUMNS='110', NO_COLOR='1')


def commands() -> List[Path]:
    """The files of tools/ that are commands, not modules shared by them."""
    return sorted(
        path
        for path in TOOLS.iterdir()
        if path.suffix == '.sh' or (path.suffix == '.py' and _has_main(path))
    )


def _has_main(path: Path) -> bool:
    return any(
        isinstance(node, ast.FunctionDef) and node.name == 'main'
        for node in ast.parse(path.read_text()).body
    )


def parser_of(command: Path) -> argparse.ArgumentParser:
    """The argument parser of a Python command: its ``main`` is run until it starts to parse."""
    caught: List[argparse.ArgumentParser] = []

    def catch(parser, *_, **__):
        caught.append(parser)
        raise SystemExit

    with (
        patch.object(sys, 'path', [str(TOOLS), *sys.path]),
        patch.object(sys, 'argv', [command.name]),
        patch.object(argparse.ArgumentParser, 'parse_args', catch),
        contextlib.suppress(SystemExit),
    ):
        runpy.run_path(str(command), run_name='__main__')
    return caught[0]


def help_text(command: Path) -> str:
    """The output of ``--help``; for a shell script, its first comment."""
    if command.suffix == '.sh':
        lines = command.read_text().splitlines()[1:]
        return '\n'.join(
            line[2:] for line in lines[: next(i for i, line in enumerate(lines) if line[:1] != '#')]
        )
    text = io.StringIO()
    with patch.dict(os.environ, _HELP):
        parser_of(command).print_help(text)
    return text.getvalue().rstrip()


HEAD = """# Commands

Every command in `tools/` with the output of its `--help`. Wrong input ends a command with one line
and exit code 1; `FVGPT_TRACEBACK=1` shows where it was raised."""


def page() -> str:
    lines = [HEAD]
    for command in commands():
        lines += ['', f'## {command.name}', '', '```text', help_text(command), '```']
    return '\n'.join(lines) + '\n'
