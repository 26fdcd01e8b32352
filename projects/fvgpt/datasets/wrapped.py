"""Find the data set inside wrappers of MMEngine and torch."""

from typing import Any


def innermost(dataset: Any) -> Any:
    """The data set inside wrappers that have no metainfo, such as torch's ``Subset``.

    Wrappers of MMEngine (``ConcatDataset``, ``RepeatDataset``) have the metainfo of the data set
    inside them and are returned as they are.
    """
    while not hasattr(dataset, 'metainfo') and hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    return dataset
