"""What a checkpoint says of its origin."""

from typing import Any, Dict

from mmengine.logging import print_log

from ..io.errors import UserError
from .classifier import CLIPClassifier, tuner_of

PROVENANCE = 'fvgpt'  # key below the checkpoint's ``meta``


def provenance(model: CLIPClassifier) -> Dict[str, Any]:
    """What a checkpoint records about a model: enough to refuse it where it does not belong.

    A model without a CLIP of its own (``PriorCalibratedClassifier``) records its class and its class names.
    """
    tuner = tuner_of(model)
    clip = getattr(tuner, 'clip', None)
    names = list(model.trained_class_names or model.class_names)
    if clip is None:
        return dict(model=type(model).__name__, class_names=names)
    return dict(
        model=type(model).__name__,
        tuner=type(tuner).__name__,
        clip=clip.name,
        quick_gelu=clip.quick_gelu,
        clip_weights=clip.weight_hash,
        precision=clip.precision or 'float32',
        class_names=names,
    )


def check_provenance(recorded: Dict[str, Any], model: CLIPClassifier, path: str) -> None:
    """Refuse a checkpoint that was trained with another tuner or another CLIP; warn where its towers had another precision,
    which changes predictions little. Other classes are what prompts are tuned for, and fine.

    Raises:
        ValueError: names what differs.
    """
    here = provenance(model)
    for key, what in (
        ('tuner', 'tuner'),
        ('clip', 'CLIP'),
        ('quick_gelu', 'quick_gelu'),
        ('clip_weights', 'CLIP weights'),
    ):
        if key in recorded and recorded[key] != here.get(key):
            raise UserError(
                f'{path} was trained with {what} {recorded[key]}, but this model has {here.get(key)}'
            )
    if 'precision' in here and recorded.get('precision', here['precision']) != here['precision']:
        print_log(
            f'{path} was trained with clip.precision {recorded["precision"]}, but this model has {here["precision"]}; '
            'predictions may differ slightly',
            'current',
            level=30,
        )
