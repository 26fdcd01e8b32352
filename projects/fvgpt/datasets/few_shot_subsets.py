"""Write few-shot subsets to files that can be shared, for ``tools/few_shot_subsets.py``."""

import json
from pathlib import Path
from typing import Dict, Sequence

from mmengine.config import ConfigDict

from ..io.atomic_write import atomic_write
from ..io.errors import UserError
from ..names import Subset
from ..registry import DATASETS
from .few_shot import FewShotDataset
from .few_shot_sampling import draw_subset


def subset_files(
    settings: ConfigDict, shots: Sequence[int], seeds: Sequence[int], out: Path
) -> Dict[Path, str]:
    """Draw few-shot subsets of all classes of a data set, the same as CoOp's code draws.

    Args:
        settings: config of the data set.
        shots: numbers of images per class.
        seeds: seeds of the draws.
        out: output folder; a file is ``out/<name of the data set>/shot_<k>-seed_<s>.json``.

    Returns:
        path -> content, which is JSON:
        ``{"train": [[path relative to the data root, label, class name], ...], "val": [...]}``.

    Raises:
        UserError: the data set is not a few-shot data set, or a number of shots is below 1.
    """
    if min(shots) < 1:
        raise UserError(f'a subset needs at least one image per class, not {min(shots)}')
    kind = DATASETS.get(settings.type)
    if not (isinstance(kind, type) and issubclass(kind, FewShotDataset)):
        raise UserError(f'a {settings.type} has no few-shot subsets; put it into a FewShotWrapper')
    whole = dict(split='train', subset=Subset.ALL, num_shots=None, subset_file=None, mask_root=None)
    dataset = DATASETS.build(dict(settings, lazy_init=True, pipeline=[], **whole))
    names = dataset.class_names_by_label()
    samples = {split: dataset.samples(split) for split in ('train', 'val')}
    folder = out / dataset.metainfo.get('dataset_name', type(dataset).__name__)
    files = {}
    for num_shots in shots:
        for seed in seeds:
            drawn = draw_subset(samples.__getitem__, num_shots, seed)
            lists = {
                split: [[path, label, names[label]] for path, label in drawn[split]]
                for split in drawn
            }
            files[folder / f'shot_{num_shots}-seed_{seed}.json'] = json.dumps(lists) + '\n'
    return files


def write_new(files: Dict[Path, str]) -> None:
    """Write all files or none. Files that exist with the same content are left as they are.

    Raises:
        UserError: a file exists with other content.
    """
    for path, text in files.items():
        if path.exists() and path.read_text(encoding='utf-8') != text:
            raise UserError(
                f'{path} exists and lists other images than are drawn now; '
                'remove it or choose another --out'
            )
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial:
            partial.write_text(text, encoding='utf-8')
