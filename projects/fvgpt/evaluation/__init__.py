"""Accuracies per class subset and group, harmonic means, and the table of one run."""

from .foreground_shift import ForegroundShift
from .outcomes import Outcome, read_outcomes, write_outcomes
from .results import differences, harmonic_mean, harmonic_means, nested_results, results_table
from .sources import STYLES, TITLES
from .subset_accuracy import SubsetAccuracy
from .worst_group import WorstGroupAccuracy

__all__ = [
    'ForegroundShift',
    'Outcome',
    'STYLES',
    'SubsetAccuracy',
    'TITLES',
    'WorstGroupAccuracy',
    'differences',
    'harmonic_mean',
    'harmonic_means',
    'nested_results',
    'read_outcomes',
    'results_table',
    'write_outcomes',
]
