"""Train and evaluate a recipe.

    python tools/train.py configs/fvgpt/coop_fvg_quickstart.py

A recipe of FVG-PT runs both stages: it trains the prompt tuner (unless a finished one is in
<work-dir>/tuner, or model.backbone_checkpoint names one), trains FVG-PT on it, evaluates zero-shot
CLIP, the tuner and FVG-PT on base and new classes, prints one table and writes
<work-dir>/results.json. For several processes: tools/dist_train.sh.
"""

import argparse
import gc
import os
from pathlib import Path

from commands import add_common_arguments, run_command


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='the recipe, a config file')
    add_common_arguments(
        parser, 'checkpoints, logs and results.json go (default: work_dirs/<recipe name>)'
    )
    parser.add_argument(
        '--resume', action='store_true', help='go on from the last checkpoints in the work dir'
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision (GPU only)')
    parser.add_argument('--no-test', action='store_true', help='train only')
    args = parser.parse_args()

    def train(options: dict) -> None:
        from fvgpt.engine.runner.recipe import run_recipe

        # MMEngine runs the garbage collector for every data set. It then skips the millions of
        # objects that the imports made, none of which is garbage.
        gc.freeze()
        run_recipe(
            args.config,
            args.work_dir or os.path.join('work_dirs', Path(args.config).stem),
            options,
            args.resume,
            args.amp,
            args.launcher,
            test=not args.no_test,
        )

    run_command(args, train)


if __name__ == '__main__':
    main()
