"""Where a checkpoint comes from: recorded in it, and checked when it is loaded."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Dict, Mapping, Optional, Tuple

from mmengine.logging import print_log

from ..io.errors import UserError
from .classifier import CLIPClassifier, tuner_of

PROVENANCE = 'fvgpt'  # key below the checkpoint's ``meta``

# What has to be the same in a checkpoint and in the model that loads it -> its name in messages
_MUST_AGREE = dict(tuner='tuner', clip='CLIP', quick_gelu='quick_gelu', clip_weights='CLIP weights')

_NAMES = ('class_names', 'tuner_class_names')


@dataclass(frozen=True)
class Provenance:
    """What a checkpoint records about its origin. None or empty: unknown, or not applicable.

    Attributes:
        model, tuner: class names of the model and of its tuner.
        clip: name of the CLIP. quick_gelu: its activation. clip_weights: sha256 of its weights.
        precision: of the towers, ``float32`` unless ``clip.precision`` was set.
        class_names: classes of the training set, in label order.
        tuner_class_names: those of the tuner below FVG-PT, if they are others.
        seed, subset, num_shots: of the few-shot draw.
        split: sha256 of the list of training images.
        calibration_folds: number of folds that PC was trained with. held_out_fold: ``number``,
            ``of`` and remaining ``images``, if the tuner was trained without one of the folds.
        mask_of: whose masks they had, if not their own.
        recipe: hash of the training settings. processes: number of ranks.
        versions: of the packages. git: commit of the checkout, and whether files differed from it.
        imported_from: file name of a checkpoint of the original code.
    """

    model: Optional[str] = None
    tuner: Optional[str] = None
    clip: Optional[str] = None
    quick_gelu: Optional[bool] = None
    clip_weights: Optional[str] = None
    precision: Optional[str] = None
    class_names: Tuple[str, ...] = ()
    tuner_class_names: Tuple[str, ...] = ()
    seed: Optional[int] = None
    recipe: Optional[str] = None
    subset: Optional[str] = None
    num_shots: Optional[int] = None
    split: Optional[str] = None
    calibration_folds: Optional[int] = None
    held_out_fold: Optional[Dict[str, int]] = None
    mask_of: Optional[str] = None
    processes: Optional[int] = None
    versions: Dict[str, str] = field(default_factory=dict)
    git: Optional[Dict[str, Any]] = None
    imported_from: Optional[str] = None

    @classmethod
    def of_model(cls, model: CLIPClassifier, **run: Any) -> 'Provenance':
        """Of a model, with further attributes of the ``run`` that trains it.

        A model without a CLIP of its own (``PriorCalibratedClassifier``) records its class only.
        """
        names = tuple(model.trained_class_names or model.class_names)
        tuner = tuner_of(model)
        clip = getattr(tuner, 'clip', None)
        if clip is None:
            return cls(model=type(model).__name__, class_names=names, **run)
        return cls(
            model=type(model).__name__,
            tuner=type(tuner).__name__,
            clip=clip.name,
            quick_gelu=clip.quick_gelu,
            clip_weights=clip.weight_hash,
            precision=clip.precision or 'float32',
            class_names=names,
            tuner_class_names=()
            if tuner.trained_class_names in ((), names)
            else tuner.trained_class_names,
            calibration_folds=getattr(model, 'calibration_folds', None),
            **run,
        )

    @classmethod
    def from_dict(cls, recorded: Mapping[str, Any]) -> 'Provenance':
        """From plain values; keys of later versions are ignored.

        Raises:
            ValueError: the class names are not a list of strings.
        """
        known = {f.name for f in fields(cls)}
        values = {key: value for key, value in recorded.items() if key in known}
        for key in _NAMES:
            names = values.get(key) or ()
            if not isinstance(names, (list, tuple)) or not all(isinstance(n, str) for n in names):
                raise ValueError(f'{key} is {str(names)[:80]}')
            values[key] = tuple(names)
        return cls(**values)

    @classmethod
    def of_checkpoint(cls, content: Mapping[str, Any]) -> 'Provenance':
        """Of a checkpoint's content; of other projects' checkpoints nothing is known.

        Raises:
            ValueError: the record is invalid.
        """
        meta = content.get('meta', {})
        if not isinstance(meta, Mapping) or not isinstance(meta.get(PROVENANCE, {}), Mapping):
            raise ValueError('meta is not a dict')
        return cls.from_dict(meta.get(PROVENANCE, {}))

    def to_dict(self) -> Dict[str, Any]:
        """Plain values of what is known, for ``meta``, JSON files and :meth:`from_dict`."""
        values = {key: value for key, value in asdict(self).items() if value not in (None, {}, ())}
        for key in _NAMES:
            if key in values:
                values[key] = list(values[key])
        return values

    def set_trained_classes(self, model: CLIPClassifier) -> None:
        """Let a model know which classes it, and its tuner, was trained on."""
        if self.tuner_class_names:
            tuner_of(model).set_trained_classes(self.tuner_class_names)
        if self.class_names:
            model.set_trained_classes(self.class_names)

    def check_fits(self, model: CLIPClassifier, path: str) -> None:
        """Refuse to load a checkpoint of another tuner or another CLIP into a model.

        A different precision of the towers is only a warning, since it changes predictions little.
        Other classes are what prompts are tuned for.

        Args:
            model: that the checkpoint is to be loaded into.
            path: of the checkpoint, for messages.

        Raises:
            UserError: names what differs.
        """
        here = Provenance.of_model(model)
        for key, what in _MUST_AGREE.items():
            recorded, own = getattr(self, key), getattr(here, key)
            if recorded is not None and recorded != own:
                raise UserError(
                    f'{path} was trained with {what} {recorded}, but this model has {own}'
                )
        if self.precision and here.precision and self.precision != here.precision:
            print_log(
                f'{path} was trained with clip.precision {self.precision}, but this model has '
                f'{here.precision}; predictions may differ slightly',
                'current',
                level=30,
            )
