"""Import checkpoints of the original trainers (Dassl's model.pth.tar-N), or export ours.

    python tools/convert_dassl.py model.pth.tar-10 coop.pth --tuner CoOp
    python tools/convert_dassl.py epoch_10.pth coop.safetensors --export

Import reads tensors only (no code in the file is run) and writes the trained parameters as a
checkpoint for ``model.backbone_checkpoint``. Export writes the trained parameters of one of our
checkpoints as a safetensors file with our keys; fvgpt/inference/dassl.py contains the names of the
originals.
"""

import argparse
from pathlib import Path

from commands import refuse, run_command


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('input', help='the checkpoint to read')
    parser.add_argument('output', help='the file to write: .pth on import, .safetensors on export')
    parser.add_argument('--tuner', help='tuner that the input belongs to (import)')
    parser.add_argument(
        '--export', action='store_true', help='from one of our checkpoints to safetensors'
    )
    args = parser.parse_args()

    def convert(_: dict) -> None:
        from fvgpt.inference.dassl import export_checkpoint, import_checkpoint

        if args.export == bool(args.tuner):
            refuse('give either --tuner NAME to import or --export')
        if args.export:
            keys = export_checkpoint(args.input, Path(args.output))
        else:
            keys = import_checkpoint(args.input, Path(args.output), args.tuner)
        print(f'wrote {args.output}: {", ".join(keys)}')

    run_command(args, convert)


if __name__ == '__main__':
    main()
