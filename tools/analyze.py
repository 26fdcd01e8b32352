"""Pictures and numbers that show what a trained model does.

    python tools/analyze.py configs/fvgpt/coop_fvg_quickstart.py work_dirs/coop_fvg_quickstart/epoch_10.pth

Foreground shift against accuracy, attention roll-out and Grad-CAM inside the mask, calibration of predictions and gates, gains
and losses by class, what was fixed and what was broken: for CLIP, the tuner and FVG-PT (of a tuner's checkpoint, the first
two). Writes report.html, which needs no other file, summary.json, CSV and PNG files, and sends the same scalars and images
through the recipe's visualizer. docs/analysis.md says what each number means.
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
        '--out', type=Path, help='folder of the files (default: analysis, beside the checkpoint)'
    )
    parser.add_argument(
        '--split',
        choices=['test', 'train'],
        default='test',
        help='test images, or the images that were trained on, which have masks more often',
    )
    parser.add_argument(
        '--max-images',
        type=int,
        metavar='N',
        help='of each data set, evenly spread over it (default: all)',
    )
    parser.add_argument(
        '--mask-root',
        help='folder of the masks, relative to data_root (default: as the recipe trains)',
    )
    parser.add_argument(
        '--no-masks', action='store_true', help='leave out what needs foreground masks'
    )
    parser.add_argument(
        '--vis-backends',
        nargs='+',
        default=[],
        metavar='TYPE',
        help='of MMEngine, e.g. TensorboardVisBackend WandbVisBackend (default: as the recipe has it)',
    )
    parser.add_argument(
        '--seed', type=int, help='of the recipe; with --split train, of the few-shot draw'
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
