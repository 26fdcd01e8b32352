"""Accuracies by class subset, and reports of whole protocols."""

from .results import harmonic_mean, harmonic_means, nested_results, results_table
from .subset_accuracy import SubsetAccuracy

__all__ = ['SubsetAccuracy', 'harmonic_mean', 'harmonic_means', 'nested_results', 'results_table']
