"""Shared by the commands that use a trained model: options for the model and the classes."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional

from commands import KeyValues, print_safely, refuse

if TYPE_CHECKING:
    from fvgpt.inference.inferencer import FVGPTInferencer

BRANCHES = ('open', 'base', 'new')


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for reading a checkpoint."""
    parser.add_argument(
        '--config',
        metavar='RECIPE',
        help='the recipe it was trained with (default: the one in the checkpoint)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=KeyValues,
        default={},
        metavar='KEY=VALUE',
        help='change keys of the recipe, e.g. clip.pretrained=/weights/ViT-B-16.pt',
    )
    parser.add_argument('--device', help='a torch device (default: the GPU if there is one)')


def add_class_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for the classes."""
    parser.add_argument(
        '--classes', nargs='+', metavar='NAME', help='any class names (default: those of training)'
    )
    parser.add_argument(
        '--classes-file', metavar='FILE', help='class names from a text file, one per line'
    )
    parser.add_argument(
        '--branch',
        choices=BRANCHES,
        default='open',
        help='open: base classes are recognised by their names, all others are new; '
        'base, new: all classes are of this kind',
    )


def read_classes(args: argparse.Namespace) -> Optional[List[str]]:
    """The class names of the command line, with a warning about names that look alike.

    Raises:
        UserError: the file of names is missing, empty or not a text file, or both options are
            given.
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
        refuse(f'{file} is not UTF-8 text: {error}')
    if not names:
        refuse(f'{file} has no class names; write one per line')
    return names


def open_model(args: argparse.Namespace, options: dict, **kwargs) -> 'FVGPTInferencer':
    """Build the inferencer for ``--checkpoint`` and the options above."""
    from fvgpt.inference.inferencer import FVGPTInferencer

    model, pretrained = (args.config, args.checkpoint) if args.config else (args.checkpoint, None)
    return FVGPTInferencer(model, pretrained, args.device, options=options, **kwargs)
