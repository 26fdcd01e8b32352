"""Check that the public data sets are complete and as published.

    python tools/check_data.py /data                             # all
    python tools/check_data.py /data caltech101 eurosat --masks  # two, with training masks
    python tools/check_data.py /data --layout archives --decode --json report.json

Checks the numbers of classes and images, that listed images and masks exist, and the md5 sum of the
split file, and prints where missing files are published. The exit code is 0 if all data sets are
complete, else 1.
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
        help='layout of CoOp (default) or of the released foreground archives',
    )
    parser.add_argument(
        '--masks', action='store_true', help='also check the published foreground masks'
    )
    parser.add_argument(
        '--mask-suffix', help="suffix of the masks if it differs from the images', e.g. .png"
    )
    parser.add_argument(
        '--decode',
        action='store_true',
        help='decode every image and mask to find broken files (slow)',
    )
    parser.add_argument('--json', help='write the report with all file names to this file')
    args = parser.parse_args()

    def check_all(_: dict) -> None:
        if not Path(args.root).is_dir():
            raise FileNotFoundError(f'{args.root} is not a folder; give the one with the data sets')
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
