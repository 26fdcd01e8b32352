"""Make all runs of a protocol over seeds and print the table.

    python tools/run_protocol.py configs/protocols/quickstart.py --seeds 1 2 3 --jobs 2

Every run is a process with a folder of its own below the work dir; second stages that need the same tuner share it. What is
finished is skipped, so the same command goes on after a kill or a failure. The table is written to <work-dir>/table.md.
"""
import argparse
import os
from pathlib import Path

from commands import run_command
from mmengine.config import DictAction


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('protocol', help='a file of configs/protocols')
    parser.add_argument('--seeds', type=int, nargs='+', default=[1, 2, 3])
    parser.add_argument('--jobs', type=int, default=1, help='runs at a time; the processor cores are shared out')
    parser.add_argument('--work-dir', help='(default: work_dirs/<protocol name>)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE',
                        help='change keys of every recipe')
    args = parser.parse_args()

    def run(options: dict) -> None:
        from fvgpt.engine.protocol import run_protocol, summary
        work_dir = Path(args.work_dir or os.path.join('work_dirs', Path(args.protocol).stem))
        train = Path(__file__).with_name('train.py')
        table = summary(run_protocol(args.protocol, args.seeds, work_dir, train, args.jobs, options))
        (work_dir / 'table.md').write_text(table + '\n')
        print(f'\n{table}\n\nwritten to {work_dir / "table.md"}')

    run_command(args, run)


if __name__ == '__main__':
    main()
