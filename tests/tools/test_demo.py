"""The demo page: what it takes, what it answers, and that it works in a browser."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fvgpt.demo import Explainer, Explanation, page
from fvgpt.demo.quickstart import quickstart_checkpoint
from fvgpt.inference.inferencer import FVGPTInferencer
from fvgpt.quickstart.world import TASK, task_samples

from ..conftest import ROOT, free_port, run_tool
from ..saved import TRAINED, draw_image, keep_weights, save_model


@pytest.fixture(scope='module')
def checkpoints(random_clip_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp('checkpoints')
    clip = keep_weights(random_clip_folder, folder / 'clip')
    save_model(folder / 'fvgpt.pth', clip)
    save_model(folder / 'ivlp.pth', clip, dict(type='IVLP', depth_text=2, depth_vision=2))
    save_model(folder / 'tuner.pth', clip, plug_in=False)
    return folder


# ------------------------------------------------------------------ what comes in
def encoded(kind, size=(6, 5), mode='RGB', **options):
    file = io.BytesIO()
    Image.new(mode, size, 200 if mode == 'L' else (200, 30, 10)).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize('kind', ['PNG', 'BMP', 'GIF', 'TIFF'])
def test_images_are_taken(kind):
    image = page.decode(encoded(kind))
    assert image.shape == (5, 6, 3) and image.dtype == np.uint8
    assert image[0, 0].tolist() == [200, 30, 10]
    assert page.decode(encoded('PNG', mode='L')).shape == (5, 6, 3)


REFUSED = dict(
    empty=(b'', 'not an image'),
    svg=(b'<svg xmlns="http://www.w3.org/2000/svg"/>', 'not an image'),
    heavy=(b'\0' * (page.MAX_BYTES + 1), 'larger than 10 MB'),
    cut=(encoded('PNG')[:48], 'damaged'),
    postscript=(b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 5\n', 'not an image'),
    icon=(encoded('ICO', (16, 16)), 'not an image'),
    wide=(encoded('PNG', (60, 50)), '60 x 50 pixels'),
)


@pytest.mark.parametrize('kind', REFUSED)
def test_what_is_no_image_or_too_large_is_refused_without_a_path(monkeypatch, kind):
    monkeypatch.setattr(page, 'MAX_PIXELS', 2999)
    content, complaint = REFUSED[kind]
    with pytest.raises(ValueError, match=complaint) as refusal:
        page.decode(content)
    assert '/' not in str(refusal.value)


def test_class_names_are_lines_each_once():
    assert page.parse_classes(' red bus\n\ncafé\nred bus\r\n') == ['red bus', 'café']
    many = '\n'.join(map(str, range(501)))
    for text, complaint in (
        ('\n ', 'at least one'),
        (many, 'more than 500'),
        ('x' * 101, 'more than 100'),
    ):
        with pytest.raises(ValueError, match=complaint):
            page.parse_classes(text)


# ------------------------------------------------------------------ what goes out
@pytest.mark.parametrize(
    'name, sources',
    [
        ('fvgpt', {'zero_shot', 'tuner', 'fdc', 'pc', 'open'}),
        ('tuner', {'zero_shot', 'tuner'}),
        ('ivlp', {'zero_shot', 'tuner', 'fdc', 'pc', 'open'}),
    ],
)
def test_an_explanation_agrees_with_the_predictions(checkpoints, tmp_path, name, sources):
    inferencer = FVGPTInferencer(checkpoints / f'{name}.pth', device='cpu')
    pixels = draw_image(tmp_path / 'image.png')
    classes = [TRAINED[1], 'bus', TRAINED[0]]
    told = Explainer(inferencer)(pixels[..., ::-1], classes)
    assert set(told.scores) == sources and told.classes == classes
    for source, branch in (('fdc', 'base'), ('pc', 'new'), ('open', 'open'), ('tuner', 'open')):
        result = inferencer(pixels, classes=classes, branch=branch, compare=True)[0]
        expected = dict(result['top'][source if source == 'tuner' else inferencer.model.source])
        if source in sources:
            assert dict(zip(classes, told.scores[source])) == pytest.approx(expected, abs=1e-5)
    assert (told.r is None) == (told.b is None) == (name == 'tuner')
    assert told.full.shape == told.foreground.shape == (
        32,
        32,
        3,
    ) and told.mask.shape == told.attention.shape == (32, 32)
    np.testing.assert_array_equal(told.foreground[told.mask], told.full[told.mask])
    assert told.attention.min() == 0 and told.attention.max() == 1


def test_html_is_escaped_and_holds_its_pictures():
    told = Explanation(
        ['<script>x</script>', 'b & c'],
        dict(tuner=np.array([0.25, 0.75])),
        0.5,
        None,
        *[np.zeros((4, 4, 3), np.uint8)] * 2,
        np.eye(4, dtype=bool),
        None,
    )
    html = page.render(told, dict(tuner='Co<Op>'))
    assert (
        '<script>' not in html
        and '&lt;script&gt;' in html
        and 'b &amp; c' in html
        and 'Co&lt;Op&gt;' in html
    )
    assert '75.0 %' in html and 'r = 0.500' in html and 'b = ' not in html
    assert (
        set(re.findall(r'src="(.{22})', html)) == {'data:image/png;base64,'}
        and html.count('<img') == 3
    )


# ------------------------------------------------------------------ the model that nobody named
RECIPE = """
_base_ = {base!r}
train_cfg = dict(max_epochs=1)
num_shots = 1
train_dataloader = dict(dataset=dict(test_per_class=1))
test_dataloader = []
"""


def test_the_default_is_the_users_run_or_trained_once_into_the_cache(tmp_path, monkeypatch):
    for name in ('coop_quickstart', 'coop_fvg_quickstart'):
        (tmp_path / f'{name}.py').write_text(
            RECIPE.format(base=str(ROOT / 'configs' / 'fvgpt' / f'{name}.py'))
        )
    recipe = tmp_path / 'coop_fvg_quickstart.py'
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    made = quickstart_checkpoint(recipe)
    assert made.is_file() and tmp_path / 'cache' in made.parents
    stamp = made.stat().st_mtime_ns
    assert quickstart_checkpoint(recipe) == made and made.stat().st_mtime_ns == stamp
    own = tmp_path / 'work_dirs' / recipe.stem / 'epoch_1.pth'
    own.parent.mkdir(parents=True)
    shutil.copy(made, own)
    assert quickstart_checkpoint(recipe).resolve() == own


# ------------------------------------------------------------------ in a browser
def chromium():
    """Playwright's browser, or a reason to skip."""
    api = pytest.importorskip('playwright.sync_api')
    installed = filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome')))
    found = os.environ.get('FVGPT_CHROMIUM') or next(installed, None)
    if not found:
        pytest.skip(
            'there is no Chromium here (apt-get install chromium, or FVGPT_CHROMIUM=/path/to/it)'
        )
    return api.sync_playwright(), found


@pytest.fixture(scope='module')
def temp(tmp_path_factory):
    """The folder for temporary files of the server."""
    return tmp_path_factory.mktemp('server')


@pytest.fixture(scope='module')
def server(checkpoints, temp):
    pytest.importorskip('gradio')
    checkpoint = os.environ.get('FVGPT_DEMO_CHECKPOINT', checkpoints / 'fvgpt.pth')
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, 'tools/demo.py', '--checkpoint', str(checkpoint), '--port', str(port)],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ, TMPDIR=str(temp)),
    )
    line = process.stdout.readline()
    if 'FVG-PT is at' not in line:
        process.kill()
        pytest.fail(f'{line}\n{process.communicate()[1][-3000:]}')
    yield line.split()[3]
    process.terminate()
    process.communicate(timeout=60)
    assert not any(temp.glob('fvgpt-demo-*')), 'uploads are left behind'


def test_start_upload_and_result_in_chromium(server, tmp_path):
    start, executable = chromium()
    label, pixels, _ = next(task_samples('test', 1, 0.7, 'exact'))
    Image.fromarray(pixels).save(tmp_path / 'upload.png')
    (tmp_path / 'bad.png').write_text('no image')
    with start as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=['--no-sandbox'])
        tab = browser.new_page(viewport=dict(width=1200, height=740))
        asked = []
        tab.on('request', lambda request: asked.append(request.url))
        tab.goto(server)
        upload = tab.locator('#image input[type=file]')
        upload.wait_for(state='attached')
        upload.set_input_files(tmp_path / 'upload.png')
        tab.locator('#result table.scores').wait_for()
        if 'FVGPT_SCREENSHOT' in os.environ:
            tab.screenshot(path=os.environ['FVGPT_SCREENSHOT'])
        said = tab.locator('#result').inner_text()
        for part in (
            'full view',
            'foreground view',
            'mask',
            'attention',
            'r = ',
            'b = ',
            'zero-shot CLIP',
            'CoOp',
            'FDC (base branch)',
            'PC (new branch)',
            'open world',
        ):
            assert part in said
        assert len(re.findall(r'[\d.]+ %', said)) >= 3 * 5

        tab.locator('#classes textarea').fill(f'a bus\n{TASK[label].name}')
        tab.get_by_role('button', name='Classify').click()
        tab.locator('#result').get_by_text('a bus').wait_for()
        assert tab.locator('#result table.scores tr').count() == 3

        upload = tab.reload() and tab.locator('#image input[type=file]')
        upload.wait_for(state='attached')
        upload.set_input_files(tmp_path / 'bad.png')
        tab.get_by_text('the file is not an image').first.wait_for()
        assert {url.split('/')[2] for url in asked if url.startswith('http')} == {
            server.split('/')[2]
        }
        browser.close()


def ask(server, path, **kwargs):
    """Status and text of an answer."""
    try:
        with urllib.request.urlopen(
            urllib.request.Request(server.rstrip('/') + path, **kwargs), timeout=60
        ) as answer:
            return answer.status, answer.read().decode(errors='replace')
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors='replace')


def upload(server, content, name='a.png'):
    body = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="'
        + name.encode()
        + b'"\r\n\r\n'
        + content
        + b'\r\n--x--\r\n'
    )
    return ask(
        server,
        '/gradio_api/upload',
        data=body,
        headers={'Content-Type': 'multipart/form-data; boundary=x'},
    )


def press(server, number, *data):
    """What the page gets when its event of that number happens."""
    session = f'session{number}{len(str(data))}'
    request = json.dumps(
        dict(data=data, fn_index=number, session_hash=session, event_data=None, trigger_id=None)
    ).encode()
    assert (
        ask(
            server,
            '/gradio_api/queue/join',
            data=request,
            headers={'Content-Type': 'application/json'},
        )[0]
        == 200
    )
    return ask(server, f'/gradio_api/queue/data?session_hash={session}')[1]


def test_only_this_computer_is_answered_and_large_files_are_not_taken(server):
    assert server.startswith('http://127.0.0.1:')
    assert (
        ask(server, '/')[0] == 200
        and ask(server, '/', headers=dict(Host='rebound.example'))[0] == 400
    )
    assert (
        upload(server, b'\0' * 100)[0] == 200
        and upload(server, b'\0' * (page.MAX_BYTES + 1))[0] == 413
    )
    assert ask(server, '/gradio_api/file=/etc/passwd')[0] == 403


def test_no_answer_contains_paths_of_the_server(server, checkpoints, temp):
    def sent(path):
        return dict(path=path, meta=dict(_type='gradio.FileData'))

    path = json.loads(upload(server, encoded('PNG', (40, 40)), '../../etc/a.png')[1])[0]
    assert path.startswith('uploads/') and not Path(path).is_absolute() and '..' not in path
    answers = [
        ask(server, place)[1]
        for place in ('/', '/config', '/gradio_api/info', '/nowhere', '/gradio_api/file=x')
    ]
    seen = press(server, 0, sent(path), 'cat\n<b>dog</b>')
    assert 'data:image/png;base64' in seen and '&lt;b&gt;dog' in seen
    broken = press(server, 0, sent(json.loads(upload(server, b'no image')[1])[0]), 'cat')
    assert 'the file is not an image' in broken
    stolen = press(server, 0, sent(str(checkpoints / 'fvgpt.pth')), 'cat')
    assert '"success":false' in stolen.replace(' ', '')
    example = press(server, 2)
    shown = re.search(r'"path":\s*"(examples/[^"]+)"', example)[1]
    assert ask(server, f'/gradio_api/file={shown}')[0] == 200
    assert 'data:image/png;base64' in press(server, 0, sent(shown), 'cat\ndog\nbus')
    for answer in (*answers, seen, broken, example):
        for secret in (str(temp), str(checkpoints), str(ROOT), 'Traceback', 'site-packages'):
            assert secret not in answer
    assert 'Traceback' not in stolen


def test_without_gradio_the_error_names_the_command_that_installs_it(checkpoints, tmp_path):
    (tmp_path / 'gradio.py').write_text("raise ImportError('not here', name='gradio')")
    done = run_tool(
        'tools/demo.py',
        '--checkpoint',
        checkpoints / 'fvgpt.pth',
        env=dict(PYTHONPATH=str(tmp_path)),
    )
    assert done.returncode == 1 and 'pip install -r requirements/demo.txt' in done.stderr
