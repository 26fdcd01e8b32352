"""Evaluate a finished run on base and new classes.

    python tools/test.py configs/fvgpt/coop_fvg_quickstart.py \\
        work_dirs/coop_fvg_quickstart/epoch_10.pth

Needs only the recipe, the CLIP weights and the checkpoint; no masks.
"""

import argparse
from pathlib import Path

from commands import add_common_arguments, run_command


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='the recipe, a config file')
    parser.add_argument('checkpoint', help='checkpoint of this recipe')
    add_common_arguments(parser, 'results.json go (default: the folder of the checkpoint)')
    args = parser.parse_args()

    def evaluate(options: dict) -> None:
        from fvgpt.engine.runner.recipe import evaluate_recipe

        evaluate_recipe(
            args.config,
            args.checkpoint,
            args.work_dir or str(Path(args.checkpoint).parent),
            options,
            args.launcher,
        )

    run_command(args, evaluate)


if __name__ == '__main__':
    main()
