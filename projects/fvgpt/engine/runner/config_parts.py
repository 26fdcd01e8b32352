"""The data loaders and data sets that a recipe names."""

from typing import List, Sequence

from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS

from ...datasets.few_shot import FewShotDataset


def loaders_of(config: Config, parts: Sequence[str] = ('train', 'val', 'test')) -> List[ConfigDict]:
    """The configs of a recipe's data loaders, those in lists too."""
    loaders = [config.get(f'{part}_dataloader') for part in parts]
    return [
        loader
        for entry in loaders
        if entry
        for loader in (entry if isinstance(entry, (list, tuple)) else [entry])
    ]


def datasets_of(
    config: Config, parts: Sequence[str] = ('train', 'val', 'test'), joined: bool = True
) -> List[ConfigDict]:
    """The data set configs of a recipe's data loaders; with ``joined`` those inside a ConcatDataset in its place."""
    chosen: List[ConfigDict] = []
    for dataset in (loader['dataset'] for loader in loaders_of(config, parts)):
        if dataset.type != 'ConcatDataset':
            chosen.append(dataset)
        elif joined:
            chosen += dataset.datasets
    return chosen


def is_few_shot(dataset: ConfigDict) -> bool:
    """Whether a data set config is of our kind, which knows shots and seeds; mmpretrain's others do not."""
    kind = DATASETS.get(dataset.type)
    return isinstance(kind, type) and issubclass(kind, FewShotDataset)
