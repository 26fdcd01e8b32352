"""Every command in the documents is valid for its parser and uses existing recipes and keys."""

import contextlib
import io
import re
import shlex
import sys
from functools import cache
from pathlib import Path
from typing import Iterator, List

import pytest
from mmengine.config import Config

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / 'docs' / '_ext'))

import commands_page
import recipe_keys
import repository_links

START = r'(?:[A-Z_]+=\S+ )*(?:python|bash) (?=tools/)'
COMMAND = re.compile(rf'(?:^ *|&& ){START}([^\n`]*)|`{START}([^`]*)`', re.MULTILINE)
parser_of = cache(commands_page.parser_of)


def commands(text: str) -> Iterator[List[str]]:
    """The words of each command of tools/ with arguments in blocks and in the text.

    For a shell script, the words of the command that it starts.
    """
    for match in COMMAND.finditer(text.replace('\\\n', ' ')):
        words = shlex.split((match[1] or match[2]).split('&&')[0].split(' > ')[0], comments=True)
        if words[0].endswith('.sh'):
            yield from launched(*words)
        elif len(words) > 1:
            yield words


def launched(script: str, *words: str) -> Iterator[List[str]]:
    """The command that a launcher starts; empty if there is no recipe."""
    config = [word for word in words if word.startswith('configs/')]
    first_option = next((i for i, word in enumerate(words) if word.startswith('--')), len(words))
    start = (
        ['tools/test.py', *config, 'CHECKPOINT']
        if '_test' in script
        else ['tools/train.py', *config]
    )
    if config:
        yield [*start, *words[first_option:]]


def mistake(tool: str, *arguments: str) -> str:
    """The error of a command, if there is one."""
    name = Path(tool).name
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            args = vars(parser_of(ROOT / 'tools' / name).parse_args(arguments))
    except SystemExit:
        return told.getvalue().splitlines()[-1]
    missing = [
        word for word in arguments if word.startswith('configs/') and not (ROOT / word).is_file()
    ]
    if missing:
        return f'there is no {missing[0]}'
    try:
        for key in args.get('cfg_options', {}):
            recipe_keys.default(recipe_keys.Key(key, '', recipe_of(args)))
    except KeyError as error:
        return str(error)
    return ''


def recipe_of(args: dict) -> str:
    """Name of the recipe that has a command's keys: its own, or one of its protocol."""
    config = Path(args.get('config') or '')
    if config.parent.name == 'fvgpt':
        return config.stem
    path = ROOT / (args.get('protocol') or '')
    if path.is_file():  # not one that the reader writes
        protocol = Config.fromfile(path)
        name = f'{next(iter(protocol.tuners))}_fvg_{protocol.datasets[0]}'
        if (ROOT / 'configs' / 'fvgpt' / f'{name}.py').is_file():
            return name
    return 'coop_fvg_imagenet'


@pytest.mark.parametrize(
    'document', repository_links.documents(), ids=lambda path: str(path.relative_to(ROOT))
)
def test_commands_are_taken_by_their_parsers(document):
    text = document.read_text(encoding='utf-8')
    ours = [
        f'there is no {path}' for path in re.findall(r'^# (configs/\S+)$', text, re.MULTILINE)
    ]  # the reader writes these
    wrong = {' '.join(words): mistake(*words) for words in commands(text)}
    assert {command: what for command, what in wrong.items() if what and what not in ours} == {}


def test_mistakes_are_found():
    text = """Run `python tools/train.py configs/fvgpt/coop_dtd.py
    --sed 2` or

        A=1 bash tools/dist_train.sh configs/fvgpt/no.py 4 --resume   # a comment
        pip install x && python tools/test.py configs/fvgpt/coop_dtd.py
        python tools/train.py configs/fvgpt/coop_dtd.py \\
            --cfg-options clip.pretrain=x
        python tools/demo.py
        python tools/predict.py photos/ --checkpoint FILE
    """
    assert [mistake(*words) for words in commands(text)] == [
        'train.py: error: unrecognized arguments: --sed 2',
        'there is no configs/fvgpt/no.py',
        'test.py: error: the following arguments are required: checkpoint',
        "'docs/_ext/recipe_keys.py: coop_dtd.py has no key clip.pretrain'",
        '',
    ]
