"""Tables and figure of the runs of a protocol.

    python tools/report.py work_dirs/base_to_new

Reads what tools/run_protocol.py left in its work dir, finished or not, prints the tables, and writes them as table.md,
table.csv and table.tex (for \\input, with booktabs), with the figure plot.png: means with their deviation over seeds, the gain
of FVG-PT over its tuner with a 95 % interval, published numbers beside ours, costs, and which runs are missing.
"""

import argparse
from pathlib import Path

from commands import run_command


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'work_dir',
        type=Path,
        help='the --work-dir of tools/run_protocol.py, which has protocol.json',
    )
    parser.add_argument('--out', type=Path, help='folder of the files (default: <work_dir>/report)')
    args = parser.parse_args()

    def report(options: dict) -> None:
        from fvgpt.protocols.report import write_report

        print(write_report(args.work_dir, args.out))
        print(f'written to {args.out or args.work_dir / "report"}')

    run_command(args, report)


if __name__ == '__main__':
    main()
