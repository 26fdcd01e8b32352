"""Classify images with a trained model into any classes, given by their names.

    python tools/predict.py photos/ cat.jpg --classes cat dog "red bus" \\
        --checkpoint work_dirs/coop_fvg_quickstart/epoch_10.pth

Images are files or folders, which are searched recursively. The output is a table, or with --json
one line of JSON per image: {"path": ..., "predictions": [{"class": ..., "score": ...}, ...]}, and
with --compare a key for each further model. The exit code is 1 for wrong input, also if
--skip-unreadable leaves no image at all.
"""

import argparse
import json
import sys
from typing import Dict, List, Sequence

from commands import print_safely, refuse, run_command
from model_arguments import add_class_arguments, add_model_arguments, open_model, read_classes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('images', nargs='+', metavar='IMAGES', help='image files and folders')
    parser.add_argument('--checkpoint', metavar='FILE', help='the trained model')
    add_model_arguments(parser)
    add_class_arguments(parser)
    parser.add_argument(
        '--topk', type=int, default=5, help='number of classes per image (default: 5)'
    )
    parser.add_argument(
        '--compare', action='store_true', help='also predict with the tuner and zero-shot CLIP'
    )
    parser.add_argument('--json', action='store_true', help='JSON lines instead of the table')
    parser.add_argument(
        '--batch-size', type=int, default=32, metavar='N', help='images per pass (default: 32)'
    )
    parser.add_argument(
        '--skip-unreadable', action='store_true', help='skip files that are not images'
    )
    parser.add_argument(
        '--show-dir',
        metavar='DIR',
        help='also draw the predictions onto the images, to this folder',
    )
    args = parser.parse_args()
    run_command(args, lambda options: predict(args, options))


def predict(args: argparse.Namespace, options: dict) -> None:
    if not args.checkpoint:
        refuse(
            'which model? --checkpoint FILE names one; '
            '`python tools/train.py configs/fvgpt/coop_fvg_quickstart.py` makes '
            'work_dirs/coop_fvg_quickstart/epoch_10.pth in a few minutes, without downloads'
        )
    for option in ('topk', 'batch_size'):
        if getattr(args, option) < 1:
            refuse(f'--{option.replace("_", "-")} must be at least 1, not {getattr(args, option)}')
    classes = read_classes(args)
    inferencer = open_model(args, options, classes=classes, branch=args.branch)
    images = inferencer.find_images(args.images)
    if args.show_dir:
        inferencer.check_drawings(images, args.show_dir)
    tuner = type(inferencer.tuner).__name__
    writer = (
        JsonLines()
        if args.json
        else Table([str(image) for image in images], inferencer.classes, tuner)
    )
    read, skipped = 0, []
    for start in range(0, len(images), args.batch_size):
        results = inferencer(
            images[start : start + args.batch_size],
            batch_size=args.batch_size,
            topk=args.topk,
            compare=args.compare,
            skip_unreadable=args.skip_unreadable,
            show_dir=args.show_dir,
        )
        for result in results:
            writer.write(result['img_path'], result['top'])
        read += len(results)
        skipped += inferencer.skipped
    if skipped:
        print_safely(
            '\n'.join([*skipped, f'skipped {len(skipped)} of {len(images)} files']), sys.stderr
        )
    if not read:
        refuse('none of the files could be read as an image')


class JsonLines:
    """One JSON object per line."""

    def write(self, path: str, top: Dict[str, list]) -> None:
        keys = ['predictions', *list(top)[1:]]
        listed = {
            key: [{'class': name, 'score': round(score, 6)} for name, score in ranking]
            for key, ranking in zip(keys, top.values())
        }
        print_safely(json.dumps(dict(path=path, **listed), ensure_ascii=False))


class Table:
    """Aligned columns: the image, then class and percentage of each source."""

    def __init__(self, images: Sequence[str], classes: Sequence[str], tuner: str):
        self.image_width, self.class_width = max(map(len, images)), max(map(len, classes))
        self.tuner, self.started = tuner, False

    def write(self, path: str, top: Dict[str, list]) -> None:
        from fvgpt.evaluation import TITLES

        if not self.started:
            self.started = True
            self._line('image', [TITLES[source].format(tuner=self.tuner) for source in top])
        for rank, row in enumerate(zip(*top.values())):
            self._line(
                '' if rank else path,
                [f'{name:<{self.class_width}} {100 * score:6.2f}' for name, score in row],
            )

    def _line(self, path: str, cells: List[str]) -> None:
        width = max(self.class_width + 7, 24)
        print_safely(
            '  '.join([f'{path:<{self.image_width}}', *(f'{cell:<{width}}' for cell in cells)])
        )


if __name__ == '__main__':
    main()
