"""Export a trained model: ONNX, and a bundle of one safetensors and one JSON file.

    python tools/export.py work_dirs/coop_fvg_quickstart/epoch_10.pth --out exported \\
        --classes "red star" "blue ring"

onnx: classifier.onnx (images -> logits and probabilities of the classes and the branch),
image_features.onnx with text_features.safetensors (unit features, for changing classes), and
onnx.json. The outputs of each graph in ONNX Runtime are compared with torch; the largest difference
is printed, and a graph that differs by more than 1e-3 is deleted.
bundle: bundle.safetensors and bundle.json, which fvgpt.inference.bundle.load_bundle reads back.
"""

import argparse

from commands import run_command
from model_arguments import add_class_arguments, add_model_arguments, open_model, read_classes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help='the trained model')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder to write to')
    parser.add_argument('--format', choices=['onnx', 'bundle', 'both'], default='both')
    parser.add_argument(
        '--overwrite', action='store_true', help='replace the files of an earlier export'
    )
    add_model_arguments(parser)
    add_class_arguments(parser)
    args = parser.parse_args()
    run_command(args, lambda options: export(args, options))


def export(args: argparse.Namespace, options: dict) -> None:
    inferencer = open_model(args, options, classes=read_classes(args), branch=args.branch)
    from fvgpt.inference.bundle import export_bundle
    from fvgpt.inference.onnx_export import export_onnx

    inferencer.set_classes()
    if args.format != 'bundle':
        for name, difference in export_onnx(inferencer, args.out, args.overwrite).items():
            print(f'{args.out}/{name}: differs from torch by at most {difference:.1e}')
    if args.format != 'onnx':
        print(
            f'{export_bundle(inferencer, args.out, args.overwrite)}: '
            'read it with fvgpt.inference.bundle.load_bundle'
        )


if __name__ == '__main__':
    main()
