"""Accuracies per class subset, harmonic means, and the table of one run."""

from .results import harmonic_mean, harmonic_means, nested_results, results_table
from .sources import STYLES, TITLES
from .subset_accuracy import SubsetAccuracy

__all__ = [
    'STYLES',
    'SubsetAccuracy',
    'TITLES',
    'harmonic_mean',
    'harmonic_means',
    'nested_results',
    'results_table',
]
