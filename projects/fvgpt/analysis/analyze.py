"""The whole analysis of a checkpoint: look at the data once, then numbers, figures, tables, report, visualizer."""

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
from ..tuners.checkpoint import read_checkpoint
from ..tuners.provenance import PROVENANCE
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

EXAMPLES = 24  # images in the report, fixed and broken, of all columns together
MOST_EXAMPLES = 4  # of one kind in one column
_TRAINING = (
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
    """Analyse a checkpoint of a recipe and write ``report.html``, ``summary.json``, CSV files and PNG files to ``out``.

    Args:
        path, checkpoint: the recipe and a checkpoint of it, of FVG-PT or of a tuner alone.
        out: folder of the files. options: ``--cfg-options``.
        split, mask_root, masks: see :func:`~fvgpt.analysis.masked_data.analysis_datasets`.
        max_images: of each data set, evenly spread over it; all when left out.
        vis_backends: types of MMEngine's that get scalars and images in place of those of the recipe.

    Returns:
        What was found, the content of ``summary.json``.

    Raises:
        FileNotFoundError, ValueError, ImportError: wrong input, or a backend that is not installed.
    """
    if max_images is not None and max_images < 1:
        raise UserError(f'--max-images must be at least 1, not {max_images}')
    config = load_recipe(path, options)
    provenance = read_checkpoint(checkpoint).get('meta', {}).get(PROVENANCE, {})
    check_model(provenance, config, path, checkpoint)
    use_backends(config, vis_backends)
    init_default_scope(config.get('default_scope', 'mmpretrain'))
    datasets = [
        build_dataset(dataset) for dataset in analysis_datasets(config, split, mask_root, masks)
    ]
    workers = config.test_dataloader.num_workers
    runner = load(config, checkpoint, out)
    observer = Observer(runner.model)
    columns = look_at(observer, datasets, max_images, workers)

    titles = {
        source: TITLES[source].format(tuner=type(observer.model.tuner).__name__)
        for source in observer.sources
    }
    summary = dict(
        recipe=str(path),
        checkpoint=str(checkpoint),
        provenance=provenance,
        split=split,
        temperature=observer.temperature,
        ece_bins=BINS,
        tower_is_clip=observer.model.tuner.image_tower_is_clip,
        columns={column.name: column_summary(column, observer.sources) for column in columns},
    )
    print(overview(summary, titles), flush=True)
    figures = {name: to_png(figure) for name, figure in draw(columns, titles).items()}
    examples = {
        name: to_png(figure)
        for name, figure in draw_examples(observer, datasets, columns, titles).items()
    }
    write_files(
        out,
        summary,
        {
            **{
                name: table_text(table)
                for name, table in csv_tables(columns, observer.sources).items()
            },
            **figures,
            **examples,
            'report.html': render(summary, titles, figures, examples).encode(),
        },
    )
    show(runner, summary, {**figures, **examples})
    return summary


def write_files(out: Path, summary: Dict, files: Dict[str, bytes]) -> None:
    """Write file name -> content, and ``summary.json`` that lists them; files of an earlier analysis that this one does not
    have (``summary.json`` names them) are removed."""
    try:
        earlier = json.loads((out / 'summary.json').read_text())['analysis_files']
    except (OSError, ValueError, KeyError, TypeError):
        earlier = []
    for name, content in files.items():
        write_file(out / name, content)
    write_json(out / 'summary.json', dict(summary, analysis_files=sorted(files)))
    for name in set(earlier) - set(files):
        (out / Path(name).name).unlink(missing_ok=True)


def check_model(provenance: dict, config: Config, path: str, checkpoint: str) -> None:
    """Refuse a checkpoint of another kind of model than the recipe has.

    Raises:
        ValueError: says of which.
    """
    recorded, here = provenance.get('model'), str(config.model.type).split('.')[-1]
    if recorded and recorded != here:
        raise UserError(
            f'{checkpoint} is of {recorded}, but {path} is a recipe of {here}; give the recipe that it was '
            'trained with'
        )


def use_backends(config: Config, names: Sequence[str]) -> None:
    """Let the recipe's visualizer write to these backends.

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
    """A runner with the trained model and a visualizer, and nothing else."""
    for key in _TRAINING:
        config.pop(key, None)
    config.load_from, config.log_level = checkpoint, 'WARNING'
    runner = build_runner(config, str(out))
    runner.load_or_resume()
    return runner


def look_at(
    observer: Observer, datasets: List[BaseDataset], max_images: Optional[int], workers: int
) -> List[Column]:
    """A :class:`Column` of each data set, with a progress bar."""
    bar = ProgressBar(sum(min(len(dataset), max_images or len(dataset)) for dataset in datasets))
    columns = [observer.collect(dataset, max_images, workers, bar.update) for dataset in datasets]
    print(flush=True)
    return columns


def draw(columns: List[Column], titles: Dict[str, str]) -> Dict[str, Figure]:
    """File name -> figure, those that the data have something for."""
    sources = list(titles)
    masked = [column for column in columns if column.known('area').any()]
    looked = [column for column in masked if column.known(f'tuner/{ROLLOUT}').any()]
    figures = {'reliability.png': reliability_figure(columns, titles)}
    if masked:
        figures['shift.png'] = shift_figure(masked, titles)
    if looked:
        figures['attention.png'] = attention_figure(looked, titles)
    if 'fvgpt' in titles and any(
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
    """File name -> figure of images that were fixed or broken."""
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
    """The bytes of a figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=110)
    return buffer.getvalue()


def show(runner: Runner, summary: Dict, pictures: Dict[str, bytes]) -> None:
    """Give scalars and pictures to MMEngine's visualizer."""
    runner.visualizer.add_scalars(dict(scalars(summary['columns'])))
    for name, png in pictures.items():
        runner.visualizer.add_image(
            Path(name).stem, np.asarray(Image.open(io.BytesIO(png)).convert('RGB'))
        )
    runner.visualizer.close()
