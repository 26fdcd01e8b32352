"""The feature file of a recipe: one key at the top for its data sets and its CLIP."""

from mmengine.config import Config

from .clip_key import tuner_part
from .config_parts import datasets_of


def settle_features(config: Config) -> None:
    """Pass ``feature_file``, its keys and its scale to the data sets and the CLIP, in place.

    The CLIP gets the keys of text features only, so that a recipe that trains on other image
    features still has the same CLIP.
    """
    if 'feature_file' not in config:
        return
    keys = dict(config.get('feature_keys') or {})
    given = dict(feature_file=config.feature_file, scale=dict(config.get('feature_scale') or {}))
    for dataset in datasets_of(config):
        if dataset.type == 'PrecomputedFeatures':
            dataset.update(given, keys=keys)
    text = {key: name for key, name in keys.items() if key.startswith('text_')}
    for clip in (config.get('clip'), (tuner_part(config)[1] or {}).get('clip')):
        if clip is not None and clip.get('type') == 'PrecomputedCLIP':
            clip.update(given, keys=text)
