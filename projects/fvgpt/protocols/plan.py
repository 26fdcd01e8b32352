"""Plan the runs of a protocol, which give the rows of a table. See ``configs/protocols``."""

import json
from copy import deepcopy
from dataclasses import dataclass
from hashlib import sha256
from os.path import normpath
from pathlib import Path
from pprint import pformat
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from mmengine.config import Config

from ..engine.runner.clip_key import settle_clip
from ..engine.runner.folds import fold_count
from ..engine.runner.options import check_options
from ..engine.runner.resolve import tuner_options
from ..io.errors import MissingFileError, UserError
from ..io.json_file import write_json
from ..io.suggest import missing_file
from .comparison import read_comparison

PROTOCOL_FILE = 'protocol.json'
_STAGES = ('options', 'stage1', 'stage2')


@dataclass(frozen=True, eq=False)
class Run:
    """One training of one recipe with one seed, in its own process and folder.

    Args:
        name: name in messages.
        config: the resolved recipe.
        seed: its seed.
        folder: the work dir.
        product: file that exists if the run is done.
        labels: tuner, dataset and variant, which are its place in the table; None for a tuner that
            is shared by other runs.
        needs: the runs that have to be done first.
    """

    name: str
    config: Config
    seed: int
    folder: Path
    product: Path
    labels: Optional[Dict[str, str]] = None
    needs: Tuple['Run', ...] = ()

    @property
    def recipe(self) -> Path:
        """The file of the resolved recipe."""
        return (
            self.folder / 'planned' / 'recipe.py'
        )  # MMEngine writes its own beside the checkpoints

    def prepare(self) -> None:
        """Write the recipe into the folder.

        Raises:
            UserError: the folder contains a run with other settings.
        """
        text = recipe_text(self.config)
        if self.recipe.is_file() and self.recipe.read_text(encoding='utf-8') != text:
            before = Config.fromfile(self.recipe).to_dict()
            now = self.config.to_dict()
            changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
            raise UserError(
                f'{self.folder} was made with other settings of {", ".join(changed)}; '
                'choose another --work-dir, or delete that folder'
            )
        self.recipe.parent.mkdir(parents=True, exist_ok=True)
        self.recipe.write_text(text, encoding='utf-8')


def recipe_text(config: Config) -> str:
    """The text of a Python file with the whole config, without ``_base_``."""
    return ''.join(
        f'{key} = {pformat(value, width=119, sort_dicts=False)}\n'
        for key, value in config.to_dict().items()
    )


class Protocol(NamedTuple):
    """The content of a protocol file.

    Attributes:
        path: path of the file.
        title: title of its table.
        recipe: path of a run's recipe relative to the file, with ``{tuner}`` and ``{dataset}``.
        tuners: tuner -> its settings.
        datasets: names of the data sets.
        variants: row of the table -> its settings; the name of the default variant is ''.
        settings: settings of all runs.
        evaluate: column -> test set of its accuracy, see :func:`column_test`; if empty, the tests
            are those of the recipe.
        differences: column -> two columns of which it is the difference.
        columns: columns of ``results.json`` that the table contains.
        average: columns whose mean is a further column.
        compare: differences between two rows that the report states, with an interval over seeds
            and test images; an entry is ``dict(of=..., minus=..., column=..., sentence=...)``, see
            :class:`~fvgpt.protocols.comparison.Comparison`.

    Settings are a dict with up to three entries, which are dicts of config keys: ``options`` (keys
    of the FVG-PT recipe; those of the tuner also apply to stage 1), ``stage1`` (keys of the tuner's
    recipe; those of its model also apply to FVG-PT) and ``stage2`` (keys of the FVG-PT recipe
    only). A variant may also have a ``recipe``, and a tuner may have ``datasets``: data set -> its
    settings.
    """

    path: Path
    title: str
    recipe: str
    tuners: Dict[str, dict]
    datasets: List[str]
    variants: Dict[str, dict]
    settings: Dict[str, dict]
    evaluate: Dict[str, dict]
    differences: Dict[str, List[str]]
    columns: List[str]
    average: List[str]
    compare: List[dict]


def load_protocol(path: str) -> Protocol:
    """Read and check a protocol file.

    Raises:
        MissingFileError: the file does not exist.
        UserError: a key is missing or unknown.
    """
    if not Path(path).is_file():
        raise missing_file('protocol', path, '.py')
    content = {
        key: value
        for key, value in Config.fromfile(path).to_dict().items()
        if not key.startswith('_')
    }
    defaults = dict(
        recipe='../fvgpt/{tuner}_fvg_{dataset}.py',
        variants={'': {}},
        evaluate={},
        differences={},
        average=[],
        compare=[],
        columns=['base', 'new', 'h'],
    )
    settings = {key: content.pop(key) for key in _STAGES if key in content}
    unknown = [key for key in content if key not in Protocol._fields]
    if unknown:
        known = [key for key in (*Protocol._fields, *_STAGES) if key not in ('path', 'settings')]
        raise UserError(f'{path} has the unknown key {unknown[0]!r}; known are {", ".join(known)}')
    for key in ('title', 'tuners', 'datasets'):
        if not content.get(key):
            raise UserError(f'{path} has no `{key}`')
    content = {**defaults, **content}
    if not isinstance(content['tuners'], dict):
        content['tuners'] = {tuner: {} for tuner in content['tuners']}
    for owner, part in {**content['tuners'], **content['variants']}.items():
        wrong = sorted(set(part) - {*_STAGES, 'recipe', 'datasets'})
        if wrong:
            raise UserError(f'{path}: {owner!r} may have {", ".join(_STAGES)}, not {wrong[0]!r}')
    for entry in content['compare']:
        read_comparison(entry, content['variants'], content['columns'], path)
    return Protocol(Path(path), settings=settings, **content)


def plan(
    protocol: Protocol,
    seeds: Sequence[int],
    work_dir: Path,
    tuners: Optional[Sequence[str]] = None,
    datasets: Optional[Sequence[str]] = None,
    options: Optional[dict] = None,
) -> List[Run]:
    """All runs: first the tuners that second stages share, then the runs of the table.

    Args:
        seeds: seeds of the runs.
        work_dir: folder of all runs.
        tuners: default: those of the protocol; others need recipes.
        datasets: as ``tuners``.
        options: command-line options, applied to every recipe.

    Raises:
        MissingFileError: there is no recipe for a tuner and data set.
    """
    shared: Dict[Path, Run] = {}
    asked = []
    for tuner in tuners or protocol.tuners:
        for dataset in datasets or protocol.datasets:
            for variant, own in protocol.variants.items():
                path = protocol.path.parent / own.get('recipe', protocol.recipe).format(
                    tuner=tuner, dataset=dataset
                )
                if not path.is_file():
                    raise missing_file(
                        f'recipe for the tuner {tuner!r} and the data set {dataset!r}:',
                        normpath(path),
                        '.py',
                    )
                tuned = protocol.tuners.get(tuner, {})
                settings = (
                    protocol.settings,
                    tuned,
                    tuned.get('datasets', {}).get(dataset, {}),
                    own,
                    dict(options=options or {}),
                )
                config, stage1 = _configs(path, settings)
                if protocol.evaluate:
                    config.test_cfg.tests = [
                        column_test(protocol, column, **spec)
                        for column, spec in protocol.evaluate.items()
                    ]
                if protocol.differences:
                    config.test_cfg.differences = protocol.differences
                labels = dict(tuner=tuner, dataset=dataset, variant=variant)
                name = ' '.join(filter(None, (tuner, dataset, variant)))
                for seed in seeds:
                    needs: Tuple[Run, ...] = ()
                    final = config
                    if stage1 is not None:
                        needs = tuple(
                            shared.setdefault(run.folder, run)
                            for run in _tuner_runs(stage1, path, config, seed, work_dir)
                        )
                        final = deepcopy(config)
                        product, *folds = (str(run.product) for run in needs)
                        final.model.backbone_checkpoint = product
                        if folds:
                            final.model.fold_checkpoints = folds
                    folder = work_dir / f'{tuner}_{dataset}' / file_name(variant) / f'seed{seed}'
                    asked.append(
                        Run(
                            f'{name} seed {seed}',
                            final,
                            seed,
                            folder,
                            folder / 'results.json',
                            labels,
                            needs,
                        )
                    )
    return [*shared.values(), *asked]


def _configs(path: Path, settings: Sequence[dict]) -> Tuple[Config, Optional[Config]]:
    """The recipe with its settings and, if it has two stages, the tuner's recipe with its own."""
    options, first, second = (
        {k: v for part in settings for k, v in part.get(stage, {}).items()} for stage in _STAGES
    )
    first = {**tuner_options(options), **first}
    config = Config.fromfile(path)
    check_options(config, options)
    if not config.get('tuner_recipe'):
        config.merge_from_dict(first)
        settle_clip(config)
        return config, None
    stage1 = Config.fromfile(path.parent / config.tuner_recipe)
    stage1.merge_from_dict(first)
    inside = {
        'model.tuner.' + key[len('model.') :]: value
        for key, value in first.items()
        if key.startswith('model.')
    }
    config.merge_from_dict({**options, **inside, **second})
    for part in (config, stage1):
        settle_clip(part)
    return config, stage1


def _tuner_runs(stage1: Config, path: Path, config: Config, seed: int, work_dir: Path) -> List[Run]:
    """The tuner, and those that PC is trained on (``calibration_folds`` of FVGPT)."""
    count = fold_count(config.model)
    recipes = [deepcopy(stage1) for _ in range(count + 1)]
    for number, recipe in enumerate(recipes[1:], 1):
        recipe.held_out_fold = dict(number=number, of=count)
    file = path.parent / config.tuner_recipe
    return [_tuner_run(recipe, file, seed, work_dir) for recipe in recipes]


def _tuner_run(config: Config, recipe: Path, seed: int, work_dir: Path) -> Run:
    settings = sha256(recipe_text(config).encode()).hexdigest()[:8]
    fold = config.get('held_out_fold')
    part = f'-fold{fold.number}of{fold.of}' if fold else ''
    folder = work_dir / 'tuners' / f'{recipe.stem}-{settings}{part}' / f'seed{seed}'
    return Run(
        f'{recipe.stem}{part} seed {seed}',
        config,
        seed,
        folder,
        folder / f'epoch_{config.train_cfg.max_epochs}.pth',
    )


def file_name(variant: str) -> str:
    """Convert a variant's name to a folder name: ``16 shots`` -> ``16_shots``; '' stays ''."""
    return ''.join(c if c.isalnum() or c in '+-.' else '_' for c in variant)


def column_test(
    protocol: Protocol,
    column: str,
    dataset: Optional[str] = None,
    subset: str = 'all',
    branch: str = 'base',
    options: Optional[dict] = None,
    view: Optional[str] = None,
    **metainfo,
) -> dict:
    """The test that gives a column of the table: an entry of ``test_cfg.tests``.

    See :class:`~fvgpt.engine.runner.subset_loop.SubsetTestLoop`.

    Args:
        protocol: the protocol, whose configs contain the data set.
        column: name of the accuracy in ``results.json``.
        dataset: file of ``configs/_base_/datasets`` with a ``test_dataset``; None: the data set of
            the run.
        subset: subset of its classes.
        branch: branch that predicts them.
        options: further keys of the data set.
        view: what is shown of the images, a key of :data:`fvgpt.datasets.views.VIEWS`.
        metainfo: further keys for :class:`~fvgpt.evaluation.SubsetAccuracy`.

    Raises:
        MissingFileError: there is no such file.
    """
    test: dict = {}
    if dataset is not None:
        part = protocol.path.parent.parent / '_base_' / 'datasets' / f'{dataset}.py'
        if not part.is_file():
            raise MissingFileError(
                f'{protocol.path} evaluates on {dataset!r}, but there is no {part}'
            )
        test = Config.fromfile(part).test_dataset.to_dict()
    own = dict(test.get('metainfo') or {}, branch=branch, column=column, **metainfo)
    shown = {} if view is None else dict(view=view)
    return dict(test, **(options or {}), subset=subset, metainfo=own, **shown)


def write_plan(protocol: Protocol, runs: Sequence[Run], work_dir: Path) -> None:
    """Add the runs of the table to ``protocol.json``, which lists the runs of all calls.

    Raises:
        UserError: the folder belongs to another protocol.
    """
    path = work_dir / PROTOCOL_FILE
    head = dict(
        protocol=protocol.path.stem,
        title=protocol.title,
        columns=protocol.columns,
        average=protocol.average,
        **(dict(compare=protocol.compare) if protocol.compare else {}),
    )
    known = {}
    if path.is_file():
        before = json.loads(path.read_text(encoding='utf-8'))
        if {key: before.get(key) for key in head} != head:
            raise UserError(
                f'{work_dir} contains the runs of {before.get("protocol")!r}; '
                'choose another --work-dir'
            )
        known = {run['folder']: run for run in before['runs']}
    for run in runs:
        if run.labels:
            folder = run.folder.relative_to(work_dir).as_posix()
            known[folder] = dict(run.labels, seed=run.seed, folder=folder)
    work_dir.mkdir(parents=True, exist_ok=True)
    write_json(path, dict(head, runs=list(known.values())))
