"""Few-shot subsets as files that can be shared: the logic of ``tools/few_shot_subsets.py``."""

import json
from pathlib import Path
from typing import Dict, Sequence

from mmengine.config import ConfigDict

from ..io.atomic_write import atomic_write
from ..io.errors import UserError
from ..registry import DATASETS
from .few_shot import FewShotDataset
from .image_lists import draw_subset


def subset_files(
    settings: ConfigDict, shots: Sequence[int], seeds: Sequence[int], out: Path
) -> Dict[Path, str]:
    """Draw the few-shot subsets of all classes of a data set, as CoOp's code does.

    Args:
        settings: config of the data set. shots: images a class. seeds: of the draws.
        out: the files are ``out/<name of the data set>/shot_<k>-seed_<s>.json``.

    Returns:
        path -> text, ``{"train": [[path relative to the data root, label, class name], ...], "val": [...]}``.

    Raises:
        ValueError: no few-shot data set, or no positive number of shots.
    """
    if min(shots) < 1:
        raise UserError(f'a subset needs at least one image a class, not {min(shots)}')
    kind = DATASETS.get(settings.type)
    if not (isinstance(kind, type) and issubclass(kind, FewShotDataset)):
        raise UserError(f'a {settings.type} has no few-shot subsets; put it into a FewShotWrapper')
    whole = dict(split='train', subset='all', num_shots=None, subset_file=None, mask_root=None)
    dataset = DATASETS.build(dict(settings, lazy_init=True, pipeline=[], **whole))
    names = dataset.class_names_by_label()
    samples = {split: dataset.samples(split) for split in ('train', 'val')}
    folder = out / dataset.metainfo.get('dataset_name', type(dataset).__name__)
    files = {}
    for num_shots in shots:
        for seed in seeds:
            drawn = draw_subset(samples.__getitem__, num_shots, seed)
            files[folder / f'shot_{num_shots}-seed_{seed}.json'] = (
                json.dumps(
                    {
                        split: [[path, label, names[label]] for path, label in drawn[split]]
                        for split in drawn
                    }
                )
                + '\n'
            )
    return files


def write_new(files: Dict[Path, str]) -> None:
    """Write all files, each of them whole, or none; those that have that content already stay.

    Raises:
        ValueError: a file is there with other content.
    """
    for path, text in files.items():
        if path.exists() and path.read_text(encoding='utf-8') != text:
            raise UserError(
                f'{path} is there and lists other images than are drawn now; remove it or choose another --out'
            )
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial:
            partial.write_text(text, encoding='utf-8')
