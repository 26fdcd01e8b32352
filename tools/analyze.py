"""Analyse a trained model in numbers and pictures.

    python tools/analyze.py configs/fvgpt/coop_fvg_quickstart.py \\
        work_dirs/coop_fvg_quickstart/epoch_10.pth

Compares zero-shot CLIP, the tuner and FVG-PT (the first two for a tuner's checkpoint): foreground
shift against accuracy, attention roll-out and Grad-CAM inside the mask, calibration of predictions
and gates, gains and losses per class, and the images that FVG-PT corrects or breaks. Writes
report.html (a single file), summary.json, CSV and PNG files, and sends the same scalars and images
to the recipe's visualizer. docs/analysis.md explains each number.
"""

import argparse
from pathlib import Path

from commands import KeyValues, run_command


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='the recipe, a config file')
    parser.add_argument('checkpoint', help='checkpoint of this recipe, of FVG-PT or of a tuner')
    parser.add_argument(
        '--out', type=Path, help='output folder (default: analysis, next to the checkpoint)'
    )
    parser.add_argument(
        '--split',
        choices=['test', 'train'],
        default='test',
        help='test images, or the training images, which more often have masks',
    )
    parser.add_argument(
        '--max-images',
        type=int,
        metavar='N',
        help='number of images per data set, evenly spaced (default: all)',
    )
    parser.add_argument(
        '--mask-root',
        help='folder of the masks, relative to data_root (default: that of the recipe)',
    )
    parser.add_argument(
        '--no-masks', action='store_true', help='leave out analyses that need foreground masks'
    )
    parser.add_argument(
        '--vis-backends',
        nargs='+',
        default=[],
        metavar='TYPE',
        help='backends of MMEngine, e.g. TensorboardVisBackend WandbVisBackend (default: those of '
        'the recipe)',
    )
    parser.add_argument(
        '--seed', type=int, help='seed of the recipe; with --split train, of the few-shot draw'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=KeyValues,
        default={},
        metavar='KEY=VALUE',
        help='change keys of the recipe, e.g. data_root=/data',
    )
    args = parser.parse_args()

    def run(options: dict) -> None:
        from fvgpt.analysis import analyze

        out = args.out or Path(args.checkpoint).parent / 'analysis'
        analyze(
            args.config,
            args.checkpoint,
            out,
            options,
            args.split,
            args.max_images,
            args.mask_root,
            not args.no_masks,
            args.vis_backends,
        )
        print(f'written to {out}; open {out / "report.html"}')

    run_command(args, run)


if __name__ == '__main__':
    main()
