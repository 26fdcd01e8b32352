"""A protocol: many runs of recipes over seeds, and the table they make. Data in a config, see ``configs/protocols``."""
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Dict, List, Optional, Sequence

from mmengine.config import Config

from ..evaluation.results import TITLES, harmonic_mean

COLUMNS = ('base', 'new', 'h')


@dataclass(frozen=True)
class Run:
    """One training of one recipe with one seed, in its own process and folder."""
    name: str
    recipe: Path
    seed: int
    folder: Path
    options: Dict[str, object] = field(default_factory=dict)

    @property
    def results(self) -> Path:
        return self.folder / 'results.json'


def load_protocol(path: str) -> Dict[str, dict]:
    """``runs`` of a protocol file: name -> dict(recipe=path relative to the file, options={key: value}).

    Raises:
        FileNotFoundError: the protocol or one of its recipes is missing.
        ValueError: there is no ``runs`` in the file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'there is no protocol {path}')
    config = Config.fromfile(path)
    if not config.get('runs'):
        raise ValueError(f'{path} has no `runs`')
    runs = {}
    for name, entry in config.runs.items():
        recipe = Path(path).parent / entry.recipe
        if not recipe.is_file():
            raise FileNotFoundError(f'{path}: the recipe {recipe} of the run {name!r} does not exist')
        runs[name] = dict(recipe=recipe, options=dict(entry.get('options', {})))
    return runs


def plan(protocol: Dict[str, dict], seeds: Sequence[int], work_dir: Path, options: Dict[str, object]) -> List[List[Run]]:
    """Runs in two waves: tuners that second stages share, then everything that was asked for."""
    tuners: Dict[Path, Run] = {}
    asked = []
    for name, entry in protocol.items():
        config = Config.fromfile(entry['recipe'])
        for seed in seeds:
            own = {**options, **entry['options']}
            if config.get('tuner_recipe'):
                recipe = entry['recipe'].parent / config.tuner_recipe
                # Options of the second stage do not change the first; the others are part of the shared tuner's name.
                shared = {key: value for key, value in own.items() if not key.startswith('model.')}
                label = '-'.join([recipe.stem, *(f'{k}={v}' for k, v in shared.items() if k not in options), f'seed{seed}'])
                folder = work_dir / 'tuners' / label.replace('/', '_')
                tuner = tuners.setdefault(folder, Run(recipe.stem, recipe, seed, folder, shared))
                epochs = shared.get('train_cfg.max_epochs', Config.fromfile(recipe).train_cfg.max_epochs)
                own['model.backbone_checkpoint'] = str(tuner.folder / f'epoch_{epochs}.pth')
            asked.append(Run(name, entry['recipe'], seed, work_dir / name / f'seed{seed}', own))
    return [list(tuners.values()), asked]


def execute(run: Run, train: Path, threads: int) -> Optional[str]:
    """Make one run unless its results are there; the last lines of its log where it failed, else None."""
    if run.results.is_file():
        return None
    run.folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(train), str(run.recipe), '--work-dir', str(run.folder), '--seed', str(run.seed),
               '--resume', '--cfg-options', *(f'{key}={value}' for key, value in run.options.items())]
    log = run.folder / 'log.txt'
    with open(log, 'w') as file:
        done = subprocess.run(command if run.options else command[:-1], stdout=file, stderr=subprocess.STDOUT, check=False,
                              env=dict(os.environ, OMP_NUM_THREADS=str(threads)))
    return None if done.returncode == 0 else '\n'.join(log.read_text().splitlines()[-3:])


def run_protocol(path: str, seeds: Sequence[int], work_dir: Path, train: Path, jobs: int = 1,
                 options: Optional[Dict[str, object]] = None) -> Dict[str, Dict[str, List[Dict[str, float]]]]:
    """Make all runs of a protocol, ``jobs`` at a time, and go on where an earlier call stopped.

    Args:
        path: of the protocol. seeds: of its runs. work_dir: of all runs. options: for every recipe.
        train: the command ``tools/train.py``.

    Returns:
        run name -> source (``zero_shot``, ``tuner``, ``fvgpt``) -> results of the seeds that succeeded.
    """
    threads = max(1, (os.cpu_count() or 1) // jobs)
    waves = plan(load_protocol(path), seeds, work_dir, options or {})
    total, finished, start = sum(map(len, waves)), 0, time.time()
    for wave in waves:
        with ThreadPoolExecutor(jobs) as pool:
            for run, failure in zip(wave, pool.map(lambda r: execute(r, train, threads), wave)):
                finished += 1
                eta = (time.time() - start) / finished * (total - finished)
                state = 'done' if failure is None else f'FAILED, see {run.folder / "log.txt"}:\n{failure}'
                print(f'[{finished}/{total}, eta {eta / 60:.0f} min] {run.name} seed {run.seed}: {state}', flush=True)
    results: Dict[str, Dict[str, List[Dict[str, float]]]] = {}
    for run in waves[-1]:
        if run.results.is_file():
            for source, row in json.loads(run.results.read_text()).items():
                results.setdefault(run.name, {}).setdefault(source, []).append(row)
    return results


def summary(results: Dict[str, Dict[str, List[Dict[str, float]]]]) -> str:
    """A Markdown table with a line a run: base / new / H of each source, mean ± standard deviation over seeds.

    H is the harmonic mean of the means (method section 3.3).
    """
    sources = list(dict.fromkeys(source for row in results.values() for source in row))
    titles = [TITLES.get(source, source).format(tuner='tuner') for source in sources]
    lines = ['| run | ' + ' | '.join(f'{title}: base / new / H' for title in titles) + ' | seeds |',
             '|---' * (len(sources) + 2) + '|']
    for name, row in results.items():
        cells = [_cell(row[source]) if source in row else '' for source in sources]
        lines.append(f'| {name} | ' + ' | '.join(cells) + f' | {max(len(seeds) for seeds in row.values())} |')
    return '\n'.join(lines)


def _cell(seeds: List[Dict[str, float]]) -> str:
    means = {column: mean(row[column] for row in seeds) for column in ('base', 'new')}
    means['h'] = harmonic_mean(means['base'], means['new'])
    spread = {column: stdev(row[column] for row in seeds) if len(seeds) > 1 else 0. for column in COLUMNS}
    return ' / '.join(f'{means[column]:.2f} ± {spread[column]:.2f}' for column in COLUMNS)
