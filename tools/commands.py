"""Shared by the commands in this folder: common options, and one-line errors for wrong input."""

import argparse
import os
import sys
from typing import Callable, NoReturn, Optional, TextIO

from mmengine.config import DictAction


class KeyValues(DictAction):
    """MMEngine's action for KEY=VALUE; an argument without ``=`` is an error of the parser."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        for value in values:
            if '=' not in value:
                parser.error(f'argument {option_string}: {value!r} is not KEY=VALUE')
        super().__call__(parser, namespace, values, option_string)


def add_common_arguments(parser: argparse.ArgumentParser, work_dir_holds: str) -> None:
    """Add the options that OpenMMLab users expect in every command."""
    parser.add_argument('--work-dir', help=f'where {work_dir_holds}')
    parser.add_argument(
        '--seed', type=int, help='of the few-shot draw, of initial values and of the data order'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=KeyValues,
        default={},
        metavar='KEY=VALUE',
        help='change keys of the recipe, e.g. data_root=/data train_cfg.max_epochs=5',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument(
        '--local-rank', '--local_rank', type=int, default=0, help='set by some launchers'
    )


def run_command(args: argparse.Namespace, command: Callable[[dict], None]) -> None:
    """Call ``command`` with the recipe options; wrong input gives one line and exit code 1."""
    given = vars(args)
    os.environ.setdefault('LOCAL_RANK', str(given.get('local_rank', 0)))
    options = dict(
        given.get('cfg_options', {}), **({} if given.get('seed') is None else {'seed': args.seed})
    )
    try:
        from fvgpt import UserError
    except ImportError as error:  # of a package that is missing, or too old
        _end(error)
    try:
        command(options)
    except (UserError, ImportError, OSError) as error:
        _end(error)


def refuse(message: str) -> NoReturn:
    """End the command with one line.

    Raises:
        UserError: with this message; :func:`run_command` shows it.
    """
    from fvgpt import UserError

    raise UserError(message)


def print_safely(text: str, file: Optional[TextIO] = None) -> None:
    """Print text that contains untrusted names, escaped and without buffering."""
    from fvgpt.io.printable import printable

    print(printable(text), file=file, flush=True)


def _end(error: Exception) -> NoReturn:
    if os.environ.get('FVGPT_TRACEBACK'):
        raise error
    sys.exit(f'error: {_shown(error)}\n(FVGPT_TRACEBACK=1 shows where it was raised)')


def _shown(error: Exception) -> str:
    try:
        from fvgpt.io.printable import printable
    except ImportError:  # which is the error to be shown
        return str(error)
    return printable(str(error))
