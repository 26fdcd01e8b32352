"""Write the recipes of configs/fvgpt from the table in projects/fvgpt/recipes.py.

    python tools/make_recipes.py            # after a change of the table
    python tools/make_recipes.py --check    # list the files that differ from it, write nothing

Files that are not in the table are not changed. With --check the exit code is 1 if a file differs.
"""

import argparse
import sys
from pathlib import Path

from commands import run_command

FOLDER = Path(__file__).resolve().parents[1] / 'configs' / 'fvgpt'


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--check', action='store_true', help='write nothing, list what differs')
    args = parser.parse_args()

    def make(_: dict) -> None:
        from fvgpt.recipes import files

        texts = files()
        wrong = [
            name
            for name, text in texts.items()
            if not (FOLDER / name).is_file() or (FOLDER / name).read_text(encoding='utf-8') != text
        ]
        if not args.check:
            for name in wrong:
                (FOLDER / name).write_text(texts[name], encoding='utf-8')
        verb = 'differ from the table' if args.check else 'were written'
        print(*wrong, f'{len(wrong)} of {len(texts)} files {verb}', sep='\n')
        sys.exit(1 if args.check and wrong else 0)

    run_command(args, make)


if __name__ == '__main__':
    main()
