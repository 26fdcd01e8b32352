"""The documentation: built without a warning, complete, with links that lead somewhere."""

import ast
import re
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, run_tool

sys.path.insert(0, str(ROOT / 'docs' / '_ext'))

import recipe_keys
import recipes_page
import repository_links


def registered_classes() -> dict:
    """Class -> the name it is registered by, from the source of every module."""
    found = {}
    for path in (ROOT / 'projects' / 'fvgpt').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            for call in node.decorator_list if isinstance(node, ast.ClassDef) else ():
                if (
                    isinstance(call, ast.Call)
                    and getattr(call.func, 'attr', '') == 'register_module'
                ):
                    found[node.name] = call.args[0].value if call.args else node.name
    return found


def test_the_pages_build_without_a_warning_and_leave_nothing_out(tmp_path):
    for package in ('sphinx', 'myst_parser', 'furo'):
        pytest.importorskip(package, reason='the documentation needs requirements/docs.txt')
    done = run_tool('-m', 'sphinx', '-W', '--keep-going', '-q', '-b', 'html', 'docs', tmp_path)
    assert done.returncode == 0, done.stderr
    pages = {
        path.stem: path.read_text(encoding='utf-8')
        for path in (tmp_path / 'generated').glob('*.html')
    }

    classes = registered_classes()
    assert len(classes) > 50
    reference = ''.join(
        text for name, text in pages.items() if name not in ('recipes', 'commands', 'readme')
    )
    for name, registered_as in classes.items():
        assert f'<span class="sig-name descname"><span class="pre">{name}</span>' in reference, name
        assert re.search(rf'<h2>{registered_as}<', reference), registered_as

    for path in recipes_page.CONFIGS.rglob('*.py'):
        assert f'<span class="pre">{path.stem}</span>' in pages['recipes'], path
    commands = [path for path in (ROOT / 'tools').iterdir() if path.suffix in ('.py', '.sh')]
    options = {
        option
        for path in commands
        for option in re.findall(r"add_argument\(\s*'(--[\w-]+)'", path.read_text())
    }
    assert len(options) > 40
    assert {option for option in options if f'{option} ' not in pages['commands']} == set()
    assert {path.name for path in commands if f'<h2>{path.name}<' not in pages['commands']} == {
        'commands.py',
        'model_arguments.py',
    }


@pytest.mark.parametrize(
    'document', repository_links.documents(), ids=lambda path: str(path.relative_to(ROOT))
)
def test_relative_links_lead_to_a_file_and_a_heading(document):
    assert repository_links.broken_links(document) == []


def test_broken_links_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(repository_links, 'ROOT', tmp_path)
    (tmp_path / 'other.md').write_text(
        '# A title: `one`, [two](b.md)\n\n```bash\n# no title\n```\n'
    )
    page = tmp_path / 'page.md'
    page.write_text(
        '[a](other.md) [b](other.md#a-title-one-two) [c](https://a.org/x#y) '
        '`[code](nowhere.md)` [d](#here)\n'
        '# Here\n[e](nowhere.md)\n![f](nowhere.png) [g](other.md#no-title)\n[h](../outside.md)\n'
    )
    assert repository_links.broken_links(page) == [
        'page.md, line 3: nowhere.md does not exist',
        'page.md, line 4: nowhere.png does not exist',
        'page.md, line 4: other.md#no-title: no heading has this anchor',
        'page.md, line 5: ../outside.md does not exist',
    ]


@pytest.mark.parametrize(
    'page, link, turned',
    [
        ('generated/readme', '[m](docs/method.md#prefix_ids)', '[m](../method.md#prefix_ids)'),
        ('generated/readme', '[s](benchmarks/README.md)', '[s](speed.md)'),
        (
            'generated/speed',
            '[c](../docs/feature_cache.md) `[x](y)`',
            '[c](../feature_cache.md) `[x](y)`',
        ),
        (
            'feature_cache',
            '[s](../benchmarks/README.md#not-measured)',
            '[s](generated/speed.md#not-measured)',
        ),
        (
            'feature_cache',
            '[l](promises.md) ![i](images/idea.svg)',
            '[l](promises.md) ![i](images/idea.svg)',
        ),
        (
            'feature_cache',
            '[l](../LICENSE) [w](https://a.org) [h](#here)',
            '[l](../LICENSE) [w](https://a.org) [h](#here)',
        ),
    ],
)
def test_links_are_turned_to_where_pages_are(page, link, turned):
    source = [link]
    repository_links.turn_links(None, page, source)
    assert source == [turned]


def test_a_key_that_no_recipe_has_cannot_be_documented():
    for name in ('no_key', 'clip.no_parameter', 'train_cfg.no_key', 'feature_cache.no_parameter'):
        with pytest.raises(KeyError, match=name):
            recipe_keys.default(recipe_keys.Key(name, ''))


def test_recipes_are_described_by_their_comment_or_their_bases(tmp_path):
    configs = recipes_page.CONFIGS
    assert recipes_page.about(configs / 'fvgpt' / 'coop_fvg_dtd.py') == 'FVG-PT on `coop_dtd.py`'
    assert recipes_page.about(configs / 'fvgpt' / 'coop_custom_held_out.py').startswith(
        'CoOp on the first half'
    )
    assert re.search(
        'CoOp.*DescribableTextures', recipes_page.about(configs / 'fvgpt' / 'coop_dtd.py')
    )
    assert all(recipes_page.about(Path(path)) for path in (configs / 'fvgpt').glob('*.py'))
