"""What the commands that use a trained model share: which model, and for which classes."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional

from commands import KeyValues, print_safely, refuse

if TYPE_CHECKING:
    from fvgpt.inference.inferencer import FVGPTInferencer

BRANCHES = ('open', 'base', 'new')


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that say how a checkpoint is read."""
    parser.add_argument(
        '--config',
        metavar='RECIPE',
        help='the recipe it was trained with; left out, the one it carries',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=KeyValues,
        default={},
        metavar='KEY=VALUE',
        help='change keys of the recipe, e.g. clip.pretrained=/weights/ViT-B-16.pt',
    )
    parser.add_argument('--device', help='a torch device; the GPU where there is one when left out')


def add_class_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that say what is recognised."""
    parser.add_argument(
        '--classes', nargs='+', metavar='NAME', help='class names, any; left out, those of training'
    )
    parser.add_argument(
        '--classes-file', metavar='FILE', help='the same from a text file, one name a line'
    )
    parser.add_argument(
        '--branch',
        choices=BRANCHES,
        default='open',
        help='open: classes of training are told from others by their names; base, new: all are of one kind',
    )


def read_classes(args: argparse.Namespace) -> Optional[List[str]]:
    """The class names of the command line, with a warning of those that read alike.

    Raises:
        FileNotFoundError, ValueError: the file of names is missing, empty or no text, or both options are given.
    """
    if args.classes and args.classes_file:
        refuse('give --classes or --classes-file, not both')
    names = _read_file(args.classes_file) if args.classes_file else args.classes
    if names:
        from fvgpt.datasets.class_names import alike_names

        alike = alike_names(names)
        if alike:
            print_safely(f'warning: {args.classes_file or "--classes"}: {alike}', sys.stderr)
    return names


def _read_file(path: str) -> List[str]:
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f'there is no file of class names {file}')
    try:
        names = [
            line.strip()
            for line in file.read_text(encoding='utf-8-sig').splitlines()
            if line.strip()
        ]
    except UnicodeDecodeError as error:
        refuse(f'{file} is no text in UTF-8: {error}')
    if not names:
        refuse(f'{file} has no class names; write one a line')
    return names


def open_model(args: argparse.Namespace, options: dict, **kwargs) -> 'FVGPTInferencer':
    """The inferencer for ``--checkpoint`` and the options above."""
    from fvgpt.inference.inferencer import FVGPTInferencer

    model, pretrained = (args.config, args.checkpoint) if args.config else (args.checkpoint, None)
    return FVGPTInferencer(model, pretrained, args.device, options=options, **kwargs)
