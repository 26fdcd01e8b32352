"""The demo page: shows the :class:`~fvgpt.demo.Explanation` of an image and class names as HTML."""

import base64
import io
import itertools
import logging
import os
import signal
import tempfile
from html import escape
from pathlib import Path
from types import ModuleType
from typing import Dict, List, Optional

import cv2
import mmcv
import numpy as np
from PIL import Image

from ..io.errors import MissingPackageError, UserError
from ..quickstart.world import TASK, task_samples
from .explain import Explainer, Explanation

MAX_BYTES = 10 << 20  # size of an image file
MAX_PIXELS = 40_000_000  # number of pixels of an image
MAX_CLASSES, MAX_NAME = 500, 100  # number of class names, and of characters per name
FORMATS = ('JPEG', 'PNG', 'WEBP', 'BMP', 'GIF', 'TIFF')
_SHOWN = 8  # number of classes in the table of probabilities
LOOPBACK = ('127.0.0.1', 'localhost', '::1')
# The page may load resources only from its own server.
_CONTENT_POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"
_STYLE = """<style>
.views {display: flex; flex-wrap: wrap; gap: 1em}
.views figure {margin: 0; width: 10em}
.views figcaption {font-size: 85%}
.views img {width: 100%; image-rendering: pixelated; border-radius: 4px}
#result .scores {border-collapse: collapse; margin-top: 1em; font-size: 90%}
#result .scores th, #result .scores td {text-align: left; padding: 3px 8px; border-width: 0 0 1px}
#result .scores td {white-space: nowrap}
.bar {background: #4f7df3; height: .8em; display: inline-block; vertical-align: middle}
.bar {margin-right: 4px; min-width: 1px}
.best {font-weight: bold}
</style>"""


# ------------------------------------------------------------------ input
def decode(content: bytes) -> np.ndarray:
    """Decode an uploaded file as training images are decoded, ignoring the EXIF orientation.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        ValueError: it is too large, or not an image of the allowed formats. The message contains
            nothing about the server.
    """
    if len(content) > MAX_BYTES:
        raise UserError(f'the file is larger than {MAX_BYTES >> 20} MB')
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
    except Exception as error:  # decoders raise errors of a dozen kinds
        raise UserError(f'the file is not an image ({", ".join(FORMATS)})') from error
    if width * height > MAX_PIXELS:
        raise UserError(
            f'the image has {width} x {height} pixels, more than {MAX_PIXELS // 1_000_000} million'
        )
    try:
        return mmcv.imfrombytes(
            content, flag='color_ignore_orientation', channel_order='rgb', backend='pillow'
        )
    except Exception as error:
        raise UserError('the image is damaged') from error


def parse_classes(text: str) -> List[str]:
    """Read class names, one per line; duplicates are dropped.

    Raises:
        ValueError: there are none or too many, or one is too long.
    """
    names = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if not names:
        raise UserError('write at least one class name, one per line')
    if len(names) > MAX_CLASSES:
        raise UserError(f'{len(names)} class names are more than {MAX_CLASSES}')
    if max(map(len, names)) > MAX_NAME:
        raise UserError(f'a class name has more than {MAX_NAME} characters')
    return names


# ------------------------------------------------------------------ output
def picture(pixels: np.ndarray, caption: str) -> str:
    """Return HTML of an image (H, W, 3) uint8 RGB and its caption. It contains the pixels."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'PNG')
    content = base64.b64encode(file.getvalue()).decode()
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{content}">'
        f'<figcaption>{escape(caption)}</figcaption></figure>'
    )


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Draw a map (S, S), from 0 (blue) to 1 (red), over an image (S, S, 3) uint8."""
    colours = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_JET)[..., ::-1]
    return (0.5 * image + 0.5 * colours).astype(np.uint8)


def trust_line(explanation: Explanation) -> str:
    """Return HTML of the trust scores r and b."""
    scores = []
    if explanation.r is not None:
        scores.append(f'<b>r = {explanation.r:.3f}</b> trust in the foreground view')
    if explanation.b is not None:
        scores.append(f'<b>b = {explanation.b:.3f}</b> trust in original CLIP')
    if not scores:
        return '<p class="trust">a tuner alone: no trust scores</p>'
    return f'<p class="trust">{" &nbsp; ".join(scores)}</p>'


def score_table(explanation: Explanation, titles: Dict[str, str]) -> str:
    """Return an HTML table of the probabilities by all branches.

    It has the classes with the largest probabilities by any branch.
    """
    scores = explanation.scores
    order = np.max(list(scores.values()), 0).argsort()[::-1][:_SHOWN]
    head = ''.join(f'<th>{escape(titles[source])}</th>' for source in scores)
    rows = []
    for label in order:
        cells = ''
        for score in scores.values():
            style = ' class=best' if label == score.argmax() else ''
            bar = f'<span class="bar" style="width: {4 * score[label]:.2f}em"></span>'
            cells += f'<td{style}>{bar}{100 * score[label]:.1f} %</td>'
        rows.append(f'<tr><th>{escape(explanation.classes[label])}</th>{cells}</tr>')
    return f'<table class="scores"><tr><th></th>{head}</tr>{"".join(rows)}</table>'


def render(explanation: Explanation, titles: Dict[str, str]) -> str:
    """Return the HTML of an explanation."""
    mask = np.repeat(explanation.mask[..., None], 3, 2).astype(np.uint8) * 255
    views = [
        picture(explanation.full, 'full view'),
        picture(explanation.foreground, 'foreground view'),
        picture(mask, f'mask (GrabCut), {explanation.mask.mean():.0%} of the image'),
    ]
    if explanation.attention is not None:
        views.append(
            picture(overlay(explanation.full, explanation.attention), 'attention roll-out')
        )
    return (
        f'{_STYLE}<div class="views">{"".join(views)}</div>{trust_line(explanation)}'
        f'{score_table(explanation, titles)}'
    )


# ------------------------------------------------------------------ the page
def import_gradio() -> ModuleType:
    """Import gradio with its telemetry and update checks disabled.

    Raises:
        ImportError: it is not installed; the message has the command that installs it.
    """
    os.environ.update(GRADIO_ANALYTICS_ENABLED='False', HF_HUB_DISABLE_TELEMETRY='1')
    try:
        import gradio
    except ImportError as error:
        raise MissingPackageError(
            f'the demo page needs {error.name}: pip install -r requirements/demo.txt'
        ) from error
    return gradio


def build_page(explainer: Explainer, about: str, folder: Path):
    """Build the gradio page.

    Args:
        explainer: computes the explanations.
        about: description of the model, shown at the top.
        folder: folder for example images.
    """
    gr = import_gradio()
    trained = explainer.inferencer.model.trained_class_names

    def answer(content: Optional[bytes], names: str) -> str:
        if content is None:
            return ''
        try:
            return render(explainer(decode(content), parse_classes(names)), explainer.titles)
        except ValueError as error:  # invalid input of the visitor
            raise gr.Error(str(error), print_exception=False) from error
        except Exception as error:
            logging.getLogger(__name__).exception('the demo page failed')
            raise gr.Error(
                'an internal error occurred; see the terminal of the server', print_exception=False
            ) from error

    with gr.Blocks(title='FVG-PT', analytics_enabled=False, fill_width=True) as page:
        gr.Markdown(f'# FVG-PT\n{about}')
        with gr.Row():
            with gr.Column(scale=1):
                image = gr.File(
                    label=f'Drop an image here (at most {MAX_BYTES >> 20} MB)',
                    type='binary',
                    height=140,
                    file_types=['image'],
                    elem_id='image',
                )
                example = gr.Button(
                    'Example image', visible=explainer.inferencer.tuner.clip.name == 'quickstart'
                )
                names = gr.Textbox(
                    '\n'.join(trained),
                    label='Class names, one per line',
                    lines=12,
                    max_lines=12,
                    elem_id='classes',
                )
                button = gr.Button('Classify', variant='primary')
                gr.Markdown(
                    'Any names are possible. *Open world* scores names that were trained on with '
                    'the base branch, others with the new branch. r and b are computed over the '
                    'names given here.'
                )
            with gr.Column(scale=2):
                result = gr.HTML(elem_id='result')
        examples = itertools.cycle(task_samples('test', 1, 0.7, 'exact'))

        def next_example() -> str:
            label, pixels, _ = next(examples)
            file = folder / f'{TASK[label].name.replace(" ", "_")}.png'
            Image.fromarray(pixels).save(file)
            return str(file)

        asked = dict(
            fn=answer,
            inputs=[image, names],
            outputs=result,
            concurrency_limit=1,
            concurrency_id='model',
            api_visibility='private',
        )
        image.change(**asked)
        button.click(**asked)
        example.click(next_example, outputs=image, concurrency_limit=1, api_visibility='private')
    return page


class _ContentPolicy:
    """ASGI middleware that adds the content security policy to every response."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def with_policy(message):
            if message['type'] == 'http.response.start':
                message['headers'] = [
                    *message.get('headers', []),
                    (b'content-security-policy', _CONTENT_POLICY.encode()),
                ]
            await send(message)

        await self.app(scope, receive, with_policy)


def serve(
    explainer: Explainer, about: str, host: str = '127.0.0.1', port: Optional[int] = None
) -> None:
    """Serve the page until interrupted.

    Uploads are stored in a temporary folder, which is the working directory of the process and is
    removed at the end. On a loopback address the server answers only requests to that address, so
    that other web pages cannot reach it by a host name of theirs (DNS rebinding). SIGTERM ends it
    like Ctrl-C.

    Args:
        explainer: computes the explanations.
        about: description of the model, shown at the top.
        host: address to listen on.
        port: port. Default: the first free one that gradio finds.

    Raises:
        ImportError: gradio is not installed.
        OSError: the port is in use.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix='fvgpt-demo-') as folder:
        # Relative paths: gradio's responses contain them, and must not reveal the server's folders.
        os.chdir(folder)
        os.environ['GRADIO_TEMP_DIR'] = 'uploads'
        examples = Path('examples')
        examples.mkdir()
        gr = import_gradio()
        gr.set_static_paths([examples])
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware

        middleware = [Middleware(_ContentPolicy)]
        if host in LOOPBACK:
            middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK)))
        # local fonts only: gradio's default fonts are downloaded
        fonts = dict(font=['system-ui', 'sans-serif'], font_mono=['monospace'])
        page = build_page(explainer, about, examples)
        page.queue(max_size=20, api_open=False)
        page.launch(
            server_name=host,
            server_port=port,
            share=False,
            quiet=True,
            show_error=False,
            ssr_mode=False,
            max_file_size=MAX_BYTES,
            footer_links=[],
            theme=gr.themes.Default(**fonts),
            app_kwargs=dict(middleware=middleware),
            prevent_thread_lock=True,
        )
        print(f'FVG-PT is at {page.local_url} (Ctrl-C ends it)', flush=True)
        page.block_thread()
