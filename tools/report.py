"""Make the tables and the figure of the runs of a protocol.

    python tools/report.py work_dirs/base_to_new

Reads the work dir of tools/run_protocol.py, which may be unfinished, prints the tables, and writes
table.md, table.csv, table.tex (for \\input, with booktabs) and plot.png: mean and deviation
over seeds, the gain of FVG-PT over its tuner with a 95 % interval, published numbers next to ours,
costs, and the runs that are missing.
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
    parser.add_argument('--out', type=Path, help='output folder (default: <work_dir>/report)')
    args = parser.parse_args()

    def report(options: dict) -> None:
        from fvgpt.protocols.report import write_report

        print(write_report(args.work_dir, args.out))
        print(f'written to {args.out or args.work_dir / "report"}')

    run_command(args, report)


if __name__ == '__main__':
    main()
