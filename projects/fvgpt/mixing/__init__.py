"""Parts for other people's configs: heads, preprocessors and classifiers of OpenMMLab networks."""

from .average_scores import AverageScoresTTA
from .calibrated_classifier import PriorCalibratedClassifier
from .supervised import ForegroundDistillationHead, ForegroundViewPreprocessor
from .text_feature_head import TextFeatureHead

__all__ = [
    'AverageScoresTTA',
    'ForegroundDistillationHead',
    'ForegroundViewPreprocessor',
    'PriorCalibratedClassifier',
    'TextFeatureHead',
]
