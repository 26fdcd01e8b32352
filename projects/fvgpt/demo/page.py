"""The demo page: an image and class names in, an :class:`~fvgpt.demo.Explanation` as HTML out."""

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

MAX_BYTES = 10 << 20  # of an image file
MAX_PIXELS = 40_000_000  # of an image
MAX_CLASSES, MAX_NAME = 500, 100  # number of class names, characters in one
FORMATS = ('JPEG', 'PNG', 'WEBP', 'BMP', 'GIF', 'TIFF')
_SHOWN = 8  # classes with bars
LOOPBACK = ('127.0.0.1', 'localhost', '::1')
# the page asks nobody but the server it came from
_CONTENT_POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"
_STYLE = """<style>
.views {display: flex; flex-wrap: wrap; gap: 1em} .views figure {margin: 0; width: 10em} .views figcaption {font-size: 85%}
.views img {width: 100%; image-rendering: pixelated; border-radius: 4px}
#result .scores {border-collapse: collapse; margin-top: 1em; font-size: 90%}
#result .scores th, #result .scores td {text-align: left; padding: 3px 8px; border-width: 0 0 1px}
#result .scores td {white-space: nowrap}
.bar {background: #4f7df3; height: .8em; display: inline-block; vertical-align: middle; margin-right: 4px; min-width: 1px}
.best {font-weight: bold}
</style>"""


# ------------------------------------------------------------------ what comes in
def decode(content: bytes) -> np.ndarray:
    """An uploaded file as an image (H, W, 3) uint8 RGB, read like training images (EXIF orientation ignored).

    Raises:
        ValueError: it is too large, or no image of the allowed formats; says nothing of the server.
    """
    if len(content) > MAX_BYTES:
        raise UserError(f'the file is larger than {MAX_BYTES >> 20} MB')
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
    except Exception as error:  # decoders raise errors of a dozen kinds
        raise UserError(f'the file is no image ({", ".join(FORMATS)})') from error
    if width * height > MAX_PIXELS:
        raise UserError(
            f'the image has {width} x {height} pixels, more than {MAX_PIXELS // 1_000_000} million'
        )
    try:
        return mmcv.imfrombytes(
            content, flag='color_ignore_orientation', channel_order='rgb', backend='pillow'
        )
    except Exception as error:
        raise UserError('the file is a broken image') from error


def parse_classes(text: str) -> List[str]:
    """Class names from lines of text, each once.

    Raises:
        ValueError: there are none, too many, or one is too long.
    """
    names = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if not names:
        raise UserError('write at least one class name, one a line')
    if len(names) > MAX_CLASSES:
        raise UserError(f'{len(names)} class names are more than {MAX_CLASSES}')
    if max(map(len, names)) > MAX_NAME:
        raise UserError(f'a class name has more than {MAX_NAME} characters')
    return names


# ------------------------------------------------------------------ what goes out
def picture(pixels: np.ndarray, caption: str) -> str:
    """HTML of an image (H, W, 3) uint8 RGB with its caption, the pixels inside."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'PNG')
    content = base64.b64encode(file.getvalue()).decode()
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{content}">'
        f'<figcaption>{escape(caption)}</figcaption></figure>'
    )


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """An image (S, S, 3) under a map (S, S) from 0 (blue) to 1 (red)."""
    colours = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_JET)[..., ::-1]
    return (0.5 * image + 0.5 * colours).astype(np.uint8)


def trust_line(explanation: Explanation) -> str:
    """HTML of the two trust scores."""
    said = [
        f'<b>{symbol} = {value:.3f}</b> {meaning}'
        for symbol, value, meaning in (
            ('r', explanation.r, 'trust in the foreground view'),
            ('b', explanation.b, 'trust in untouched CLIP'),
        )
        if value is not None
    ]
    return (
        f'<p class="trust">{" &nbsp; ".join(said)}</p>'
        if said
        else '<p class="trust">a tuner alone: no trust scores</p>'
    )


def score_table(explanation: Explanation, titles: Dict[str, str]) -> str:
    """HTML of the probabilities of all branches side by side, for the classes that any of them finds likely."""
    scores = explanation.scores
    order = np.max(list(scores.values()), 0).argsort()[::-1][:_SHOWN]
    head = ''.join(f'<th>{escape(titles[source])}</th>' for source in scores)
    rows = []
    for label in order:
        cells = ''.join(
            f'<td{" class=best" if label == score.argmax() else ""}><span class="bar" style="width: {4 * score[label]:.2f}em">'
            f'</span>{100 * score[label]:.1f} %</td>'
            for score in scores.values()
        )
        rows.append(f'<tr><th>{escape(explanation.classes[label])}</th>{cells}</tr>')
    return f'<table class="scores"><tr><th></th>{head}</tr>{"".join(rows)}</table>'


def render(explanation: Explanation, titles: Dict[str, str]) -> str:
    """HTML of an explanation."""
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
    """gradio, told to ask nobody for its news.

    Raises:
        ImportError: it is missing; says what installs it.
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
    """The gradio page.

    Args:
        explainer: answers. about: what the model is, shown at the top. folder: for example images.
    """
    gr = import_gradio()
    trained = explainer.inferencer.model.trained_class_names

    def answer(content: Optional[bytes], names: str) -> str:
        if content is None:
            return ''
        try:
            return render(explainer(decode(content), parse_classes(names)), explainer.titles)
        except ValueError as error:  # of the visitor's making
            raise gr.Error(str(error), print_exception=False) from error
        except Exception as error:
            logging.getLogger(__name__).exception('the demo page failed')
            raise gr.Error(
                'this went wrong here; the terminal says more', print_exception=False
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
                    label='Class names, one a line',
                    lines=12,
                    max_lines=12,
                    elem_id='classes',
                )
                button = gr.Button('Classify', variant='primary')
                gr.Markdown(
                    'Any names will do. *Open world* ranks names that were trained on by the base branch, others by '
                    'the new one. r and b are computed over the names given here.'
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


class _OwnHeaders:
    """ASGI middleware that adds the content policy to every answer."""

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

    Uploads lie in a folder of this process's own, which is its working folder and goes with it. On a loopback address only
    requests that name it are answered, so that no foreign web page reaches the server by a name of its own. SIGTERM ends it
    like Ctrl-C.

    Raises:
        ImportError: gradio is missing. OSError: the port is taken.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix='fvgpt-demo-') as folder:
        os.chdir(folder)  # so that gradio's answers name its files from here, and not where that is
        os.environ['GRADIO_TEMP_DIR'] = 'uploads'
        examples = Path('examples')
        examples.mkdir()
        gr = import_gradio()
        gr.set_static_paths([examples])
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware

        middleware = [Middleware(_OwnHeaders)]
        if host in LOOPBACK:
            middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK)))
        fonts = dict(
            font=['system-ui', 'sans-serif'], font_mono=['monospace']
        )  # no fonts from elsewhere
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
