"""Make all runs of a protocol over seeds and print the table.

    python tools/run_protocol.py configs/protocols/base_to_new.py --tuners coop kgcoop \\
        --datasets dtd eurosat --cfg-options data_root=/data

Every run is a process with its own folder in the work dir; second stages share the tuner of stage
1. Finished runs are skipped, so the same command continues after a kill or a failure, and the same
command with further tuners, data sets or seeds adds their runs. The tables are written to
<work-dir>/report (tools/report.py writes them again).

On a Slurm cluster: --executor slurm --slurm-options slurm_partition=gpu timeout_min=600
"""

import argparse
import os
import sys
from pathlib import Path

from commands import KeyValues, run_command


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('protocol', help='a file of configs/protocols')
    parser.add_argument('--tuners', nargs='+', help="(default: the protocol's)")
    parser.add_argument('--datasets', nargs='+', help="(default: the protocol's)")
    parser.add_argument('--seeds', type=int, nargs='+', default=[1, 2, 3])
    parser.add_argument('--work-dir', help='(default: work_dirs/<protocol name>)')
    parser.add_argument(
        '--jobs', type=int, help='runs at a time on this machine (default: one a GPU, or one)'
    )
    parser.add_argument('--executor', choices=['local', 'slurm'], default='local')
    parser.add_argument(
        '--slurm-options',
        nargs='+',
        action=KeyValues,
        default={},
        metavar='KEY=VALUE',
        help="parameters of submitit's executor",
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=KeyValues,
        default={},
        metavar='KEY=VALUE',
        help='change keys of every recipe',
    )
    args = parser.parse_args()

    def run(options: dict) -> None:
        from fvgpt.engine.runner.inputs import check_inputs
        from fvgpt.engine.runner.recipe import load_recipe
        from fvgpt.protocols.execute import LocalExecutor, SlurmExecutor, make_runs
        from fvgpt.protocols.plan import load_protocol, plan, write_plan
        from fvgpt.protocols.report import write_report

        work_dir = Path(
            args.work_dir or os.path.join('work_dirs', Path(args.protocol).stem)
        ).absolute()
        protocol = load_protocol(args.protocol)
        runs = plan(protocol, args.seeds, work_dir, args.tuners, args.datasets, options)
        write_plan(protocol, runs, work_dir)
        train = Path(__file__).with_name('train.py').absolute()
        if args.executor == 'slurm':
            submit = SlurmExecutor(train, work_dir / 'slurm', args.slurm_options).submit
        else:
            submit = LocalExecutor(train, args.jobs).submit
        for run in runs:
            run.prepare()
        for recipe in {run.labels['dataset']: run.recipe for run in runs if run.labels}.values():
            check_inputs(
                load_recipe(str(recipe))
            )  # a missing data set is found before any run starts
        failures = make_runs(runs, submit)
        print('\n' + write_report(work_dir))
        if failures:
            head = f'{len(failures)} of {len(runs)} runs failed; the same command makes them again:'
            sys.exit('\n\n'.join([head, *failures]))

    run_command(args, run)


if __name__ == '__main__':
    main()
