"""Load a model from its checkpoint alone: the recipe inside is read as data and never executed."""

from copy import deepcopy
from typing import Any, Dict, Iterator, Optional

from mmengine.config import Config
from mmengine.registry import Registry, init_default_scope
from torch import Tensor

from ..engine.runner.check_types import check_model
from ..engine.runner.clip_key import settle_clip
from ..engine.runner.options import check_options
from ..engine.runner.recipe import load_recipe
from ..io.errors import UserError
from ..io.literals import literal_values
from ..registry import MODELS, TRANSFORMS
from ..tuners.checkpoint import load_parameters, read_checkpoint
from ..tuners.classifier import CLIPClassifier
from ..tuners.provenance import Provenance

_READ_KEYS = ('model', 'clip', 'test_dataloader')  # of the recipe inside a checkpoint
PREPROCESSOR = 'mmpretrain.ClsDataPreprocessor'


def load_model(
    checkpoint: str, recipe: Optional[str] = None, options: Optional[dict] = None
) -> CLIPClassifier:
    """A trained classifier, in evaluation mode on the CPU, without classes.

    Args:
        checkpoint: written by training with this project.
        recipe: config file; by default the recipe inside the checkpoint.
        options: changes of the recipe's keys, e.g. ``{'clip.pretrained': FILE}`` if the weights
            were moved.

    Returns:
        The model. Its ``trained_class_names`` are set if the checkpoint contains them. Its
        ``_config``, which mmpretrain's inferencers read, is a Config with ``model``, ``pipeline``
        (transforms of test images), ``dataset_name`` and ``provenance``.

    Raises:
        MissingFileError: the checkpoint, the recipe or the CLIP's weights do not exist.
        UserError: one of them is broken, or they do not belong together.
    """
    content = read_checkpoint(checkpoint)
    meta = content.get('meta', {})
    config = load_recipe(recipe, options) if recipe else saved_recipe(meta.get('cfg'), checkpoint)
    if options and not recipe:
        check_options(config, options)
        saved = deepcopy(config)
        config.merge_from_dict(options)
        settle_clip(config, saved)
    recorded = Provenance.of_checkpoint(content)
    config = Config(
        dict(
            model=config.model,
            pipeline=pipeline_of(config),
            provenance=recorded.to_dict(),
            dataset_name=(meta.get('dataset_meta') or {}).get('dataset_name'),
        )
    )
    config.model.pop('backbone_checkpoint', None)  # the tuner's parameters are in this checkpoint
    return build_model(config, content['state_dict'], recorded, checkpoint)


def build_model(
    config: Config, state: Dict[str, Tensor], recorded: Provenance, source: str
) -> CLIPClassifier:
    """A model with trained parameters, see :func:`load_model`.

    Args:
        config: is set as the model's ``_config``.
        state: the trained parameters.
        recorded: their provenance.
        source: their file, for messages.

    Raises:
        UserError: the model cannot be built or is not a classifier of this project, or the
            parameters are of another tuner, CLIP or size.
    """
    init_default_scope('mmpretrain')
    problem = f'the model that {source} describes cannot be built'
    try:
        check_model('model', config.model)
    except UserError as error:
        raise UserError(f'{problem}: {error}') from error
    try:
        model = MODELS.build(config.model)
    except (RuntimeError, MemoryError) as error:  # torch's, of sizes that no tensor can have
        raise UserError(f'{problem}: {error}') from error
    if not isinstance(model, CLIPClassifier):
        raise UserError(
            f'{source} describes a {type(model).__name__}, which is not a classifier of this '
            'project'
        )
    recorded.check_fits(model, source)
    load_parameters(model, state, source)
    recorded.set_trained_classes(model)
    model._config = config
    return model.eval()


def pipeline_of(config: Config) -> list:
    """Configs of the transforms of a recipe's test images.

    Raises:
        UserError: the recipe has none.
    """
    loaders = config.get('test_dataloader') or {}
    part = loaders[0] if isinstance(loaders, (list, tuple)) else loaders
    while 'pipeline' not in part and isinstance(part.get('dataset'), dict):
        part = part['dataset']
    if not part.get('pipeline'):
        raise UserError(
            'the recipe has no test_dataloader with a pipeline, which is needed to prepare images'
        )
    return part['pipeline']


# ------------------------------------------------------------------ the recipe inside a checkpoint
def saved_recipe(text: Optional[str], source: str) -> Config:
    """The recipe that MMEngine wrote into a checkpoint, reduced to the keys that inference needs.

    Args:
        text: Python source. Only assignments of plain values and ``dict(...)`` with registered
            types are accepted, so that opening an untrusted checkpoint executes none of its code.
        source: the file, for messages.

    Raises:
        UserError: there is no text, or it contains anything else.
    """
    remedy = 'give the recipe it was trained with as --config'
    if not isinstance(text, str):
        raise UserError(f'{source} does not contain its recipe; {remedy}')
    try:
        values = literal_values(text, _READ_KEYS)
        if not isinstance(values.get('model'), dict):
            raise UserError('it has no model')
        check_types(values['model'], MODELS, PREPROCESSOR)
        config = Config(values)
        check_types(pipeline_of(config), TRANSFORMS)
    except ValueError as error:
        raise UserError(f'the recipe inside {source} cannot be used: {error}; {remedy}') from error
    return config


def check_types(config: Any, registry: Registry, *others: str) -> None:
    """Check that all types of a config are registered; MMEngine would import others by their path.

    Args:
        config: nested dicts and lists.
        registry: in which the types must be.
        others: further types that are allowed.

    Raises:
        UserError: names the type that is not registered.
    """
    known = {*others, *registry.module_dict}
    if registry is TRANSFORMS:
        known |= {name for child in registry.children.values() for name in child.module_dict}
        known |= {
            f'{scope}.{name}'
            for scope, child in registry.children.items()
            for name in child.module_dict
        }
    for part in _dicts(config):
        kind = part.get('_scope_', part.get('type'))
        if '_scope_' in part or (
            kind is not None and not (isinstance(kind, str) and kind in known)
        ):
            raise UserError(
                f'the type {kind!r} is not registered here (to register your own types, import '
                'their module)'
            )


def _dicts(value: Any) -> Iterator[dict]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _dicts(item)
