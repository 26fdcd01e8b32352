"""Train and evaluate a recipe.

    python tools/train.py configs/fvgpt/coop_fvg_quickstart.py

A recipe of FVG-PT runs both stages: it tunes the prompt tuner first (unless a finished one is in <work-dir>/tuner, or
model.backbone_checkpoint names one), trains FVG-PT on it, evaluates zero-shot CLIP, the tuner and FVG-PT on base and new
classes, prints one table and writes <work-dir>/results.json. On several processes: tools/dist_train.sh.
"""
import argparse
import os
import sys
from pathlib import Path

from mmengine.config import DictAction


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='the recipe, a config file')
    parser.add_argument('--work-dir', help='where checkpoints, logs and results.json go (default: work_dirs/<recipe name>)')
    parser.add_argument('--resume', action='store_true', help='go on from the last checkpoints in the work dir')
    parser.add_argument('--amp', action='store_true', help='mixed precision (GPU only)')
    parser.add_argument('--seed', type=int, help='of the few-shot draw, of initial values and of the data order')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE',
                        help='change keys of the recipe, e.g. data_root=/data train_cfg.max_epochs=5')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local-rank', '--local_rank', type=int, default=0, help='set by some launchers')
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def main() -> None:
    args = parse_args()
    from fvgpt.engine.recipe import run_recipe
    options = dict(args.cfg_options, **({} if args.seed is None else {'seed': args.seed}))
    work_dir = args.work_dir or os.path.join('work_dirs', Path(args.config).stem)
    try:
        run_recipe(args.config, work_dir, options, args.resume, args.amp, args.launcher)
    except (FileNotFoundError, ValueError) as error:
        if os.environ.get('FVGPT_TRACEBACK'):
            raise
        sys.exit(f'error: {error}\n(FVGPT_TRACEBACK=1 shows where it was raised)')


if __name__ == '__main__':
    main()
