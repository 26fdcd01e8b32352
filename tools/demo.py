"""Web page that classifies an image with given class names and shows how FVG-PT decides.

    python tools/demo.py                                                        # the embedded CLIP
    python tools/demo.py --checkpoint work_dirs/coop_fvg_imagenet/epoch_10.pth

Shows the foreground mask, both views, the trust scores r and b, the probabilities of all branches,
and the attention of the image tower. Without --checkpoint it uses the run of the quickstart recipe
in work_dirs, or trains one in a cache folder first. Needs `pip install -r requirements/demo.txt`.
The page is available on this computer only, unless --host is set.
"""

import argparse
import sys
from pathlib import Path

from commands import run_command
from model_arguments import add_model_arguments, open_model

QUICKSTART = Path(__file__).resolve().parent.parent / 'configs' / 'fvgpt' / 'coop_fvg_quickstart.py'


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--checkpoint', metavar='FILE', help='the trained model')
    add_model_arguments(parser)
    parser.add_argument(
        '--host',
        default='127.0.0.1',
        help='address to serve at (default: 127.0.0.1, this computer only)',
    )
    parser.add_argument('--port', type=int, help='port (default: the first free one from 7860)')
    args = parser.parse_args()
    run_command(args, lambda options: demo(args, options))


def demo(args: argparse.Namespace, options: dict) -> None:
    from fvgpt.demo import Explainer
    from fvgpt.demo.page import LOOPBACK, import_gradio, serve

    import_gradio()  # fails early, before a model is trained
    if args.host not in LOOPBACK:
        print(
            f'WARNING: everybody who can reach {args.host} can use this page; it has no password',
            file=sys.stderr,
        )
    if not args.checkpoint:
        from fvgpt.demo.quickstart import quickstart_checkpoint

        args.checkpoint = str(quickstart_checkpoint(QUICKSTART))
    explainer = Explainer(open_model(args, options))
    inferencer = explainer.inferencer
    model = type(inferencer.tuner).__name__
    if inferencer.tuner is not inferencer.model:
        model += ' with FVG-PT'
    # the last part only, because the name can be the path of a folder of weights
    about = f'{model} on CLIP {Path(inferencer.tuner.clip.name).name}'
    if inferencer.tuner.clip.name == 'quickstart':
        about += (
            ', which was trained on drawn shapes of 64 x 64 pixels (such as "striped red star") '
            'and not on photographs'
        )
    serve(explainer, f'{about}.', args.host, args.port)


if __name__ == '__main__':
    main()
