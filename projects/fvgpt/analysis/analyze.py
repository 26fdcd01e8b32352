"""Analysis of a checkpoint: one pass over the data, then numbers, figures, tables and a report."""

import io
import json
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import numpy as np
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import VISBACKENDS, init_default_scope
from mmengine.runner import Runner
from mmengine.utils import ProgressBar
from PIL import Image

from ..engine.runner.recipe import build_runner, load_recipe
from ..evaluation import TITLES
from ..io.errors import UserError
from ..io.json_file import write_json
from ..names import Source
from ..tuners.checkpoint import read_checkpoint
from ..tuners.provenance import Provenance
from .attention import ROLLOUT
from .calibration import BINS
from .collect import Column, Observer
from .examples import example_figure
from .figures import attention_figure, class_figure, gate_figure, reliability_figure, shift_figure
from .html_report import render
from .masked_data import analysis_datasets, build_dataset
from .per_class import changed, evenly_spread
from .summary import column_summary, overview, scalars
from .tables import class_rows, csv_tables, table_text, write_file

# Example images in the report: of all columns together, and at most per column and kind
EXAMPLES = 24
MOST_EXAMPLES = 4
# keys of a recipe that the analysis does not need
_UNUSED_KEYS = (
    'train_dataloader',
    'train_cfg',
    'optim_wrapper',
    'param_scheduler',
    'val_dataloader',
    'val_cfg',
    'val_evaluator',
    'test_dataloader',
    'test_cfg',
    'test_evaluator',
)


def analyze(
    path: str,
    checkpoint: str,
    out: Path,
    options: Optional[dict] = None,
    split: str = 'test',
    max_images: Optional[int] = None,
    mask_root: Optional[str] = None,
    masks: bool = True,
    vis_backends: Sequence[str] = (),
) -> Dict:
    """Analyse a checkpoint and write a report.

    The files in ``out`` are ``report.html``, ``summary.json``, CSV files and PNG files.

    Args:
        path: the recipe that the checkpoint was trained with, of FVG-PT or of a tuner alone.
        checkpoint: the checkpoint.
        out: folder of the files.
        options: changes of the recipe (``--cfg-options``).
        split, mask_root, masks: see :func:`~fvgpt.analysis.masked_data.analysis_datasets`.
        max_images: number of images per data set, evenly spread over it. Default: all.
        vis_backends: types of MMEngine's visualizer backends that get the scalars and images,
            instead of those of the recipe.

    Returns:
        The content of ``summary.json``.

    Raises:
        FileNotFoundError: the recipe, the checkpoint or data does not exist.
        ValueError: wrong input.
        ImportError: a visualizer backend is not installed.
    """
    if max_images is not None and max_images < 1:
        raise UserError(f'--max-images must be at least 1, not {max_images}')
    config = load_recipe(path, options)
    provenance = Provenance.of_checkpoint(read_checkpoint(checkpoint))
    check_model(provenance, config, path, checkpoint)
    use_backends(config, vis_backends)
    init_default_scope(config.get('default_scope', 'mmpretrain'))
    datasets = [
        build_dataset(dataset) for dataset in analysis_datasets(config, split, mask_root, masks)
    ]
    workers = config.test_dataloader.num_workers
    runner = load(config, checkpoint, out)
    observer = Observer(runner.model)
    columns = collect_columns(observer, datasets, max_images, workers)

    titles = {
        source: TITLES[source].format(tuner=type(observer.model.tuner).__name__)
        for source in observer.sources
    }
    summary = dict(
        recipe=str(path),
        checkpoint=str(checkpoint),
        provenance=provenance.to_dict(),
        split=split,
        temperature=observer.temperature,
        ece_bins=BINS,
        tower_is_clip=observer.model.tuner.image_tower_is_clip,
        columns={column.name: column_summary(column, observer.sources) for column in columns},
    )
    print(overview(summary, titles), flush=True)
    figures = {name: to_png(figure) for name, figure in draw(columns, titles).items()}
    example_figures = draw_examples(observer, datasets, columns, titles)
    examples = {name: to_png(figure) for name, figure in example_figures.items()}
    tables = csv_tables(columns, observer.sources)
    files = {name: table_text(table) for name, table in tables.items()}
    files.update(figures)
    files.update(examples)
    files['report.html'] = render(summary, titles, figures, examples).encode()
    write_files(out, summary, files)
    show(runner, summary, {**figures, **examples})
    return summary


def write_files(out: Path, summary: Dict, files: Dict[str, bytes]) -> None:
    """Write files, and ``summary.json`` with their names.

    Files of an earlier analysis, which its ``summary.json`` names, are removed unless they are
    overwritten.

    Args:
        out: folder of the files.
        summary: content of ``summary.json``.
        files: file name -> content.
    """
    try:
        earlier = json.loads((out / 'summary.json').read_text())['analysis_files']
    except (OSError, ValueError, KeyError, TypeError):
        earlier = []
    for name, content in files.items():
        write_file(out / name, content)
    write_json(out / 'summary.json', dict(summary, analysis_files=sorted(files)))
    for name in set(earlier) - set(files):
        (out / Path(name).name).unlink(missing_ok=True)


def check_model(provenance: Provenance, config: Config, path: str, checkpoint: str) -> None:
    """Check that the checkpoint and the recipe have the same type of model.

    Raises:
        ValueError: they have not; the message names both types.
    """
    recorded, here = provenance.model, str(config.model.type).split('.')[-1]
    if recorded and recorded != here:
        raise UserError(
            f'{checkpoint} is of {recorded}, but {path} is a recipe of {here}; give the recipe '
            'that it was trained with'
        )


def use_backends(config: Config, names: Sequence[str]) -> None:
    """Replace the backends of the recipe's visualizer, unless ``names`` is empty.

    Raises:
        ValueError: MMEngine has no such backend.
    """
    unknown = [name for name in names if VISBACKENDS.get(name) is None]
    if unknown:
        known = sorted(name for name in VISBACKENDS.module_dict if name != 'BaseVisBackend')
        raise UserError(
            f'there is no visualizer backend {unknown[0]!r}; choose from {", ".join(known)}'
        )
    visualizer = config.setdefault(
        'visualizer', dict(type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
    )
    if names:
        visualizer.vis_backends = [dict(type=name) for name in names]


def load(config: Config, checkpoint: str, out: Path) -> Runner:
    """Build a runner with the trained model and the visualizer, without data and training."""
    for key in _UNUSED_KEYS:
        config.pop(key, None)
    config.load_from, config.log_level = checkpoint, 'WARNING'
    runner = build_runner(config, str(out))
    runner.load_or_resume()
    return runner


def collect_columns(
    observer: Observer, datasets: List[BaseDataset], max_images: Optional[int], workers: int
) -> List[Column]:
    """Collect the values of each data set, with a progress bar."""
    bar = ProgressBar(sum(min(len(dataset), max_images or len(dataset)) for dataset in datasets))
    columns = [observer.collect(dataset, max_images, workers, bar.update) for dataset in datasets]
    print(flush=True)
    return columns


def draw(columns: List[Column], titles: Dict[str, str]) -> Dict[str, Figure]:
    """Draw the figures that there is data for; returns file name -> figure."""
    sources = list(titles)
    masked = [column for column in columns if column.known('area').any()]
    with_maps = [column for column in masked if column.known(f'tuner/{ROLLOUT}').any()]
    figures = {'reliability.png': reliability_figure(columns, titles)}
    if masked:
        figures['shift.png'] = shift_figure(masked, titles)
    if with_maps:
        figures['attention.png'] = attention_figure(with_maps, titles)
    if Source.FVGPT in titles and any(
        'r' in column.values or 'b' in column.values for column in columns
    ):
        figures['gates.png'] = gate_figure(columns)
    before, after = (titles[source] for source in sources[-2:])
    for column in columns:
        figures[f'classes_{column.name}.png'] = class_figure(
            column.name,
            class_rows(column, sources),
            f'accuracy of {after} minus that of {before} (points)',
        )
    return figures


def draw_examples(
    observer: Observer, datasets: List[BaseDataset], columns: List[Column], titles: Dict[str, str]
) -> Dict[str, Figure]:
    """Draw images that FVG-PT corrected or broke; returns file name -> figure."""
    count = max(1, min(MOST_EXAMPLES, EXAMPLES // (2 * len(columns))))
    figures = {}
    for column, dataset in zip(columns, datasets):
        kinds = changed(*(column.correct(source) for source in observer.sources[-2:]))
        for kind, indices in zip(('fixed', 'broken'), kinds):
            chosen = evenly_spread(indices, count)
            if len(chosen):
                figures[f'examples_{column.name}_{kind}.png'] = example_figure(
                    observer, dataset, column, chosen, titles
                )
    return figures


def to_png(figure: Figure) -> bytes:
    """Return a figure as the content of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=110)
    return buffer.getvalue()


def show(runner: Runner, summary: Dict, pictures: Dict[str, bytes]) -> None:
    """Pass scalars and PNG images to MMEngine's visualizer."""
    runner.visualizer.add_scalars(dict(scalars(summary['columns'])))
    for name, png in pictures.items():
        runner.visualizer.add_image(
            Path(name).stem, np.asarray(Image.open(io.BytesIO(png)).convert('RGB'))
        )
    runner.visualizer.close()
