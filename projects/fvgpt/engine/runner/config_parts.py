"""The data loaders and data sets in a recipe."""

from copy import deepcopy
from typing import Any, List, Sequence

from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS

from ...datasets.few_shot import FewShotDataset
from ...io.errors import UserError

PARTS = ('train', 'val', 'test')


def dataset_of_test(dataset: dict, test: dict) -> ConfigDict:
    """The data set config of one test.

    Args:
        dataset: the data set of the test loader.
        test: an entry of ``test_cfg.tests``. With a ``type`` it is a complete data set config;
            without one, its keys are merged into ``dataset`` as MMEngine merges a config into its
            base (including ``_delete_=True``).

    Returns:
        A new config; the arguments are not changed.
    """
    if 'type' in test:
        return ConfigDict(deepcopy(dict(test)))
    merged = Config(dict(dataset=deepcopy(dict(dataset))))
    merged.merge_from_dict(dict(dataset=deepcopy(dict(test))))
    return merged.dataset


def subset_tests(config: Config) -> List[ConfigDict]:
    """The entries of ``test_cfg.tests``, not copied; an empty list if there is a single test."""
    return (config.get('test_cfg') or {}).get('tests') or []


def join_test_loaders(config: Config) -> None:
    """Convert a list of test loaders (recipes of 0.1.0) to one loader and ``test_cfg.tests``.

    Raises:
        UserError: the loaders differ in more than their data set.
    """
    loaders = config.get('test_dataloader')
    if not loaders or not isinstance(loaders, (list, tuple)):
        return
    first, *others = [dict(loader) for loader in loaders]
    tests = [loader.pop('dataset') for loader in (first, *others)]
    if any(loader != first for loader in others):
        raise UserError(
            'test_dataloader is a list of loaders that differ in more than their data set; write '
            'one loader, and the data sets as test_cfg=dict(tests=[...])'
        )
    config.test_dataloader = dict(first, dataset=tests[0])
    config.test_cfg = dict(config.get('test_cfg') or {}, tests=tests)


def loaders_of(config: Config, parts: Sequence[str] = PARTS) -> List[ConfigDict]:
    """The configs of a recipe's data loaders, not copied."""
    return [loader for part in parts if (loader := config.get(f'{part}_dataloader'))]


def datasets_of(
    config: Config, parts: Sequence[str] = PARTS, joined: bool = True
) -> List[ConfigDict]:
    """The data set configs that a recipe contains, not copied.

    They are those of its loaders, and the entries of ``test_cfg.tests`` that have a ``type``.

    Args:
        config: the recipe.
        parts: which loaders.
        joined: whether to return the data sets inside a ConcatDataset. If not, data sets of this
            type are left out.
    """
    found = [loader['dataset'] for loader in loaders_of(config, parts)]
    if 'test' in parts:
        found += [test for test in subset_tests(config) if 'type' in test]
    return _members(found, joined)


def built_datasets(config: Config, parts: Sequence[str] = PARTS) -> List[ConfigDict]:
    """Copies of the data set configs that a run builds: training, validation, and each test.

    A ConcatDataset is replaced by the data sets inside it.
    """
    found = [loader['dataset'] for loader in loaders_of(config, [p for p in parts if p != 'test'])]
    if 'test' in parts:
        for loader in loaders_of(config, ['test']):
            found += [
                dataset_of_test(loader['dataset'], test) for test in subset_tests(config) or [{}]
            ]
    return deepcopy(_members(found, joined=True))


def _members(datasets: List[Any], joined: bool) -> List[ConfigDict]:
    chosen: List[ConfigDict] = []
    for dataset in datasets:
        if dataset.type != 'ConcatDataset':
            chosen.append(dataset)
        elif joined:
            chosen += dataset.datasets
    return chosen


def is_few_shot(dataset: ConfigDict) -> bool:
    """Whether a data set is a ``FewShotDataset``; those of mmpretrain have no shots or seed."""
    kind = DATASETS.get(dataset.type)
    return isinstance(kind, type) and issubclass(kind, FewShotDataset)
