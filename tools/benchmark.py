"""Measure the optimised computations against the plain ones on this machine.

    python tools/benchmark.py all --json figures.json

Both take turns in one run; the towers have random weights. text: CoOp's text step. stage1, stage2:
a training step from cached features against one with all towers. inference: FVG-PT compared with
CLIP's image encoder.
"""

import argparse
from pathlib import Path

from commands import refuse, run_command


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('part', choices=['text', 'stage1', 'stage2', 'inference', 'all'])
    parser.add_argument(
        '--clip', default='ViT-B-16-quickgelu', help='open_clip model (default: %(default)s)'
    )
    parser.add_argument(
        '--classes',
        type=int,
        default=100,
        help='number of ImageNet class names (default: %(default)s)',
    )
    parser.add_argument(
        '--repeats',
        type=int,
        default=5,
        help='repetitions, of which the median counts (default: %(default)s)',
    )
    parser.add_argument('--device', default='cpu', help='cpu or cuda (default: %(default)s)')
    parser.add_argument(
        '--precision', choices=['bf16', 'fp16'], help='precision of the towers (default: float32)'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all figures to this file')
    args = parser.parse_args()

    def benchmark(options: dict) -> None:
        from fvgpt.benchmark import BENCHMARKS, Setting, run_benchmarks
        from fvgpt.io.device import torch_device
        from fvgpt.io.json_file import write_json

        if not 1 <= args.classes <= 1000 or args.repeats < 1:
            refuse(
                '--classes must lie between 1 and 1000, the ImageNet names, '
                'and --repeats be at least 1'
            )
        torch_device(args.device)
        if args.json and not args.json.absolute().parent.is_dir():
            raise FileNotFoundError(f'--json: there is no folder {args.json.absolute().parent}')
        setting = Setting(
            clip=args.clip,
            classes=args.classes,
            repeats=args.repeats,
            device=args.device,
            precision=args.precision,
        )
        figures = run_benchmarks(list(BENCHMARKS) if args.part == 'all' else [args.part], setting)
        for key, value in figures.items():
            print(f'{key:<28}{value}')
        if args.json:
            write_json(args.json, figures)

    run_command(args, benchmark)


if __name__ == '__main__':
    main()
