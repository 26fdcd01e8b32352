"""Write the few-shot subsets of a recipe's data set as files that can be shared.

    python tools/few_shot_subsets.py configs/fvgpt/coop_caltech101.py --shots 1 2 4 8 16 \\
        --seeds 1 2 3 --out subsets --cfg-options data_root=/data

Each is a file OUT/<data set>/shot_16-seed_1.json with the images of all classes:
{"train": [[path relative to the data root, label, class name], ...], "val": [...]}.
A training uses it instead of drawing a subset with --cfg-options
'train_dataloader.dataset.subset_file=OUT/<data set>/shot_{num_shots}-seed_{seed}.json'
"""

import argparse
from pathlib import Path

from commands import KeyValues, run_command


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='a recipe with the data set')
    parser.add_argument(
        '--shots', type=int, nargs='+', default=[1, 2, 4, 8, 16], help='images per class'
    )
    parser.add_argument('--seeds', type=int, nargs='+', default=[1, 2, 3])
    parser.add_argument('--out', required=True, help='output folder')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=KeyValues,
        default={},
        metavar='KEY=VALUE',
        help='change keys of the recipe, e.g. data_root=/data',
    )
    args = parser.parse_args()

    def write(options: dict) -> None:
        from fvgpt.datasets.few_shot_subsets import subset_files, write_new
        from fvgpt.engine.runner.config_parts import datasets_of
        from fvgpt.engine.runner.recipe import load_recipe

        settings = datasets_of(load_recipe(args.config, options), ['train'])
        files = subset_files(settings[0], args.shots, args.seeds, Path(args.out))
        write_new(files)
        print('\n'.join(map(str, files)))

    run_command(args, write)


if __name__ == '__main__':
    main()
