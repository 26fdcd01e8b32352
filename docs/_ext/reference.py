"""Pages generated from the code: the reference of registered parts, recipes, and commands."""

import re
from importlib import import_module
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple

import commands_page
import mmengine.registry
import mmpretrain.registry
import recipes_page
from mmengine.registry import Registry
from repository_links import COPIED, DOCS, ROOT

import fvgpt.mixing.mmpretrain_clip  # noqa: F401  registers what `import fvgpt` does not
from fvgpt.segmentation import SEGMENTERS


class Page(NamedTuple):
    title: str
    modules: List[str]  # modules of the package whose registered types the page lists
    others: List[str]  # types that are not registered and are listed too


PAGES = {
    'clip': Page(
        'CLIP',
        ['clip', 'tuners.classifier'],
        [
            'fvgpt.tuners.classifier.CLIPClassifier',
            'fvgpt.clip.resolve_template',
            'fvgpt.clip.token_edits.TokenEdit',
        ],
    ),
    'tuners': Page(
        'Prompt tuners', ['tuners'], ['fvgpt.tuners.PromptTuner', 'fvgpt.tuners.ContextTuner']
    ),
    'foreground': Page(
        'FVG-PT, and its parts in other models',
        ['foreground', 'mixing'],
        [
            'fvgpt.foreground.ReliabilityGate',
            'fvgpt.foreground.reliability_gate.ForegroundTrust',
            'fvgpt.foreground.distillation_compensation.Adapter',
            'fvgpt.foreground.distillation_compensation.Residual',
            'fvgpt.foreground.prior_calibration.Calibrated',
            'fvgpt.foreground.open_world.join_branches',
        ],
    ),
    'losses': Page('Losses', ['losses'], ['fvgpt.losses.tempered_kl']),
    'data': Page(
        'Data sets, samplers and transforms',
        ['datasets'],
        ['fvgpt.datasets.few_shot.FewShotDataset', 'fvgpt.datasets.randomness.sample_randomness'],
    ),
    'engine': Page(
        'Hooks, loops, metrics and schedules',
        ['engine', 'evaluation'],
        [
            'fvgpt.engine.feature_cache.FeatureCache',
            'fvgpt.engine.hooks.run_record.write_record',
        ],
    ),
    'segmenters': Page(
        'Segmenters',
        ['segmentation'],
        ['fvgpt.segmentation.ForegroundSegmenter', 'fvgpt.segmentation.mask_file.confidence'],
    ),
    'python': Page(
        'Use from Python',
        [],
        [
            'fvgpt.inference.inferencer.FVGPTInferencer',
            'fvgpt.inference.load.load_model',
            'fvgpt.inference.onnx_export.export_onnx',
            'fvgpt.inference.bundle.export_bundle',
            'fvgpt.inference.bundle.load_bundle',
            'fvgpt.engine.runner.recipe.load_recipe',
            'fvgpt.engine.runner.recipe.run_recipe',
            'fvgpt.engine.runner.recipe.evaluate_recipe',
        ],
    ),
}


class Part(NamedTuple):
    """A registered type."""

    name: str
    registry: str
    type: type


def registered_parts() -> List[Part]:
    """All registered types of the package: in MMEngine's root registries, in their children, and
    in the registry of segmenters."""
    modules = (
        mmengine.registry,
        mmpretrain.registry,
    )  # mmpretrain's tokenizers are in no root registry
    roots = [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, Registry)
    ]
    found = {}
    for registry in [*_with_children(roots), SEGMENTERS]:
        for name, kind in registry.module_dict.items():
            if kind.__module__.split('.')[0] == 'fvgpt':
                found[registry.name, name] = Part(name, registry.name, kind)
    return list(found.values())


def _with_children(registries) -> Iterator[Registry]:
    for registry in registries:
        yield registry
        yield from _with_children(registry.children.values())


def page_of(part: Part) -> str:
    """The page of a part: the one that lists the innermost module around it.

    Raises:
        ValueError: no page lists such a module.
    """
    module = part.type.__module__.removeprefix('fvgpt.') + '.'
    fitting = [
        (len(name), page)
        for page, content in PAGES.items()
        for name in content.modules
        if module.startswith(f'{name}.')
    ]
    if not fitting:
        raise ValueError(
            f'docs/_ext/reference.py: no page lists {part.name} of {part.type.__module__}; '
            'add its module to one'
        )
    return max(fitting)[1]


def public_path(kind: type) -> str:
    """The import path of a type: the outermost package around its module that contains it."""
    names = kind.__module__.split('.')
    paths = ('.'.join(names[:n]) for n in range(2, len(names) + 1))
    return next(
        f'{path}.{kind.__name__}'
        for path in paths
        if getattr(import_module(path), kind.__name__, None) is kind
    )


def reference_page(title: str, parts: List[Part], others: List[str]) -> str:
    """A page in Markdown: a table of all types, then each with its signature and docstring."""
    lines = [f'# {title}', '']
    if parts:
        lines += ['| `type` | registry | |', '|---|---|---|']
        lines += [
            f'| [`{part.name}`](#{part.name.lower()}) | {part.registry} | {summary(part.type)} |'
            for part in parts
        ]
    for part in parts:
        lines += ['', f'## {part.name}', *_autodoc('class', public_path(part.type))]
    for path in others:
        name = path.rpartition('.')[2]
        lines += ['', f'## {name}', *_autodoc('class' if name[0].isupper() else 'function', path)]
    return '\n'.join(lines) + '\n'


def summary(kind: type) -> str:
    """The first sentence of a docstring, as Markdown.

    Raises:
        ValueError: there is none.
    """
    if not kind.__doc__:
        raise ValueError(f'{kind.__module__}.{kind.__name__} has no docstring')
    paragraph = ' '.join(kind.__doc__.strip().split('\n\n')[0].split())
    paragraph = (
        re.sub(r':\w+:`~?(?:[\w.]*\.)?(\w+)`', r'`\1`', paragraph)
        .replace('``', '`')
        .replace('|', r'\|')
    )
    return re.split(r'(?<=[^.][.]) ', paragraph)[0]


def _autodoc(kind: str, path: str) -> List[str]:
    options = ['   :members:', '   :show-inheritance:'] if kind == 'class' else []
    return ['', '```{eval-rst}', f'.. auto{kind}:: {path}', *options, '```']


def pages() -> Dict[str, str]:
    """Name and content of every generated page, in the order of the navigation."""
    parts = registered_parts()
    lists = {name: [part for part in parts if page_of(part) == name] for name in PAGES}
    content = {
        name: reference_page(page.title, lists[name], page.others) for name, page in PAGES.items()
    }
    return {'recipes': recipes_page.page(), 'commands': commands_page.page(), **content}


def write_pages(folder: Path) -> None:
    """Write the generated pages and the copies of files that are pages too, if they changed."""
    content = {folder / f'{name}.md': text for name, text in pages().items()}
    content.update(
        {
            DOCS / f'{page}.md': (ROOT / file).read_text(encoding='utf-8')
            for page, file in COPIED.items()
        }
    )
    folder.mkdir(exist_ok=True)
    for path in set(folder.iterdir()) - set(content):
        path.unlink()
    for path, text in content.items():
        if not path.is_file() or path.read_text(encoding='utf-8') != text:
            path.write_text(text, encoding='utf-8')


def add_navigation(app, docname: str, source: List[str]) -> None:
    """Sphinx event ``source-read``: turn the lists of index.md into tables of contents."""
    if docname != 'index':
        return
    for section in re.split(r'^## ', source[0], flags=re.MULTILINE)[1:]:
        entries = re.findall(r'^- \[(.*?)\]\(([\w/]+)\.md\)', section, re.MULTILINE)
        source[0] += _toctree(
            section.split('\n')[0], [f'{title} <{page}>' for title, page in entries]
        )
    source[0] += _toctree(
        'Reference', [f'generated/{name}' for name in ('recipes', 'commands', *PAGES)]
    )


def _toctree(caption: str, names: List[str]) -> str:
    return '\n'.join(
        ['', '', '```{toctree}', ':hidden:', f':caption: {caption}', '', *names, '```', '']
    )
