"""Sampling of few-shot subsets, with the same result as CoOp's code (Zhou et al., IJCV 2022)."""

import random
from typing import Callable, Dict, List, Sequence

from .image_lists import Sample

MAX_VAL_SHOTS = 4  # CoOp's protocol uses at most four validation images per class


def sample_shots(samples: Sequence[Sample], num_shots: int, rng: random.Random) -> List[Sample]:
    """Draw ``num_shots`` samples per class, or all samples of a class that has fewer.

    Classes are in the order of their first sample, samples of a class in the order in which they
    are drawn. This is the order of CoOp's code, so with ``random.Random(seed)`` the result is the
    public few-shot subset of that seed.
    """
    by_label: Dict[int, List[Sample]] = {}
    for sample in samples:
        by_label.setdefault(sample.label, []).append(sample)
    drawn: List[Sample] = []
    for of_class in by_label.values():
        drawn += rng.sample(of_class, num_shots) if len(of_class) >= num_shots else of_class
    return drawn


def draw_subset(
    samples: Callable[[str], Sequence[Sample]],
    num_shots: int,
    seed: int,
    splits: Sequence[str] = ('train', 'val'),
) -> Dict[str, List[Sample]]:
    """Draw a few-shot subset: num_shots training and min(num_shots, 4) validation images per class.

    Args:
        samples: returns all samples of a split.
        num_shots: training images per class.
        seed: seed of the draw.
        splits: splits to draw, ``train`` first. The validation images are drawn from the same
            random stream after the training images, as in the public subsets.

    Returns:
        split -> samples.
    """
    rng = random.Random(seed)
    shots = dict(train=num_shots, val=min(num_shots, MAX_VAL_SHOTS))
    return {split: sample_shots(samples(split), shots[split], rng) for split in splits}
