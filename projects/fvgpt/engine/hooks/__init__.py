"""Hooks of MMEngine's Runner, one per file."""

from .class_names import ClassNamesHook
from .cost import CostHook
from .feature_cache import FeatureCacheHook
from .finite import FiniteHook
from .loss_history import LossHistoryHook
from .provenance import ProvenanceHook
from .random_state import RandomStateHook

__all__ = [
    'ClassNamesHook',
    'CostHook',
    'FeatureCacheHook',
    'FiniteHook',
    'LossHistoryHook',
    'ProvenanceHook',
    'RandomStateHook',
]
