"""Check that the data sets of the field are there, whole and as published.

    python tools/check_data.py /data                                   # all fifteen
    python tools/check_data.py /data caltech101 eurosat --masks        # some, with the masks of the training images
    python tools/check_data.py /data --layout archives --decode --json report.json

Numbers of classes and images, listed images that are absent, the md5 sum of the split file, missing masks; and where that is
published which is missing. Ends with exit code 0 when all that was asked for is complete, else 1.
"""

import argparse
import sys
from pathlib import Path

from commands import print_safely, run_command

PARTS = Path(__file__).resolve().parents[1] / 'configs' / '_base_' / 'datasets'


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('root', help='the folder with the data sets (data_root of the recipes)')
    parser.add_argument(
        'datasets',
        nargs='*',
        metavar='dataset',
        help='files of configs/_base_/datasets (default: all)',
    )
    parser.add_argument(
        '--layout',
        choices=['coop', 'archives'],
        default='coop',
        help="CoOp's layout, or that of the released foreground archives",
    )
    parser.add_argument(
        '--masks', action='store_true', help='look for the foreground masks of the training images'
    )
    parser.add_argument(
        '--mask-suffix', help="of the masks where it differs from the images', e.g. .png"
    )
    parser.add_argument(
        '--decode',
        action='store_true',
        help='open every image and mask, which finds broken files (slow)',
    )
    parser.add_argument('--json', help='write the report there, with all file names')
    args = parser.parse_args()

    def check_all(_: dict) -> None:
        if not Path(args.root).is_dir():
            raise FileNotFoundError(f'{args.root} is no folder; give the one with the data sets')
        if args.json and not Path(args.json).absolute().parent.is_dir():
            raise FileNotFoundError(f'--json {args.json}: there is no such folder')
        from fvgpt.datasets.completeness import DataSetCheck, load_data_sets, table
        from fvgpt.io.json_file import write_json

        reports = {}
        for name, config in load_data_sets(PARTS, args.datasets).items():
            print(f'checking {name}', file=sys.stderr, flush=True)
            check = DataSetCheck(
                config, args.root, args.layout, args.masks, args.mask_suffix, args.decode
            )
            reports[name] = check.run()
        print_safely(table(reports))
        if args.json:
            write_json(
                Path(args.json), {name: report.as_json() for name, report in reports.items()}
            )
        sys.exit(0 if all(report.complete for report in reports.values()) else 1)

    run_command(args, check_all)


if __name__ == '__main__':
    main()
