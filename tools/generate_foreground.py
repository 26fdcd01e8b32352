"""Make foreground masks for a folder of images.

    python tools/generate_foreground.py data/birds/images --out data/mask/birds/images --suffix .png
    python tools/generate_foreground.py IMAGES --out MASKS --suffix .png --segmenter rembg \\
        --model birefnet-general

The mask of each image has the same relative path in MASKS; foreground is white. If MASKS is
<data root>/mask, this is the layout of the released archives. Existing masks are kept, so the same
command continues a run that was stopped. MASKS/_report contains statistics and a picture of random
masks and of the worst ones. Segmenters and their options: docs/foreground_masks.md.
"""

import argparse
import sys
from pathlib import Path

from commands import KeyValues, print_safely, run_command


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'images', type=Path, help='folder of images (searched recursively), or one image'
    )
    parser.add_argument(
        '--out', type=Path, required=True, metavar='MASKS', help='folder of the masks'
    )
    parser.add_argument(
        '--segmenter',
        default='grabcut',
        help='grabcut (default; needs no weights), rembg, transformers, mmdet, mmseg, or the '
        'dotted path of your own class',
    )
    parser.add_argument('--model', help='name, file or folder of the model')
    parser.add_argument('--device', help='cpu, cuda or cuda:1; default: the GPU if there is one')
    parser.add_argument(
        '--segmenter-options',
        nargs='+',
        action=KeyValues,
        default={},
        metavar='KEY=VALUE',
        help='further options of the segmenter',
    )
    parser.add_argument(
        '--suffix',
        help="suffix of the mask files, best .png (then set mask_suffix='.png' in the data set); "
        'default: that of the image',
    )
    parser.add_argument(
        '--soft', action='store_true', help='write probabilities instead of black and white'
    )
    parser.add_argument('--overwrite', action='store_true', help='make masks again that exist')
    parser.add_argument(
        '--workers', type=int, help='processes on a CPU, or threads that read and write with a GPU'
    )
    parser.add_argument('--batch-size', type=int, help='images per call of the segmenter')
    parser.add_argument(
        '--compare', type=Path, metavar='DIR', help='report the IoU with the masks in this folder'
    )
    args = parser.parse_args()
    for name in ('workers', 'batch_size'):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f'--{name.replace("_", "-")} must be at least 1')
    return args


def main() -> None:
    args = parse_args()

    def generate(_: dict) -> None:
        from fvgpt.segmentation.generate import generate_masks
        from fvgpt.segmentation.mask_maker import MaskMaker
        from fvgpt.segmentation.report import summary_text

        given = {
            key: getattr(args, key) for key in ('model', 'device') if getattr(args, key) is not None
        }
        maker = MaskMaker(
            args.segmenter, {**given, **args.segmenter_options}, args.soft, args.overwrite
        )
        try:
            summary = generate_masks(
                args.images,
                args.out,
                maker,
                args.suffix,
                args.compare,
                args.workers,
                args.batch_size,
            )
        except KeyboardInterrupt:
            sys.exit('stopped; run the same command again to continue')
        print_safely(summary_text(summary).split('\n| area')[0])
        print(f'more in {args.out / "_report"}')
        if summary['failures']:
            problems = list(summary['failures'].values())[:10]
            sys.exit('\n'.join([f'{summary["failed"]} images have no mask:', *problems]))

    run_command(args, generate)


if __name__ == '__main__':
    main()
