"""Prompt templates and the texts made from them (CoOp's ``CUSTOM_TEMPLATES``)."""

from typing import List, Optional, Sequence

from ..datasets.class_names import readable
from ..io.errors import UserError

PLAIN_TEMPLATE = 'a photo of a {}.'
CUSTOM = 'custom'  # the template of the data set in use

# Data set -> template. Data sets that are not listed use PLAIN_TEMPLATE.
CUSTOM_TEMPLATES = dict(
    OxfordPets='a photo of a {}, a type of pet.',
    OxfordFlowers='a photo of a {}, a type of flower.',
    FGVCAircraft='a photo of a {}, a type of aircraft.',
    DescribableTextures='{} texture.',
    EuroSAT='a centered satellite photo of {}.',
    Food101='a photo of {}, a type of food.',
    UCF101='a photo of a person doing {}.',
    StanfordCars=PLAIN_TEMPLATE,
    SUN397=PLAIN_TEMPLATE,
    Caltech101=PLAIN_TEMPLATE,
    ImageNet=PLAIN_TEMPLATE,
    ImageNetV2=PLAIN_TEMPLATE,
    ImageNetSketch=PLAIN_TEMPLATE,
    ImageNetA=PLAIN_TEMPLATE,
    ImageNetR=PLAIN_TEMPLATE,
    ImageNet9=PLAIN_TEMPLATE,
    ImageNetS=PLAIN_TEMPLATE,
    CounterAnimal=PLAIN_TEMPLATE,
    Waterbirds=PLAIN_TEMPLATE,
)


def resolve_template(template: str, dataset_name: Optional[str] = None) -> str:
    """Return the text of a template, with ``{}`` in place of the class name.

    Args:
        template: one of: a text with ``{}`` for the class name; the name of a data set in
            ``CUSTOM_TEMPLATES``; ``custom``, the template of the data set in use.
        dataset_name: the data set in use. If it is not in ``CUSTOM_TEMPLATES`` or None, ``custom``
            means ``PLAIN_TEMPLATE``.

    Raises:
        ValueError: ``template`` is none of the three.
    """
    if '{}' in template:
        return template
    if template == CUSTOM:
        return CUSTOM_TEMPLATES.get(dataset_name or '', PLAIN_TEMPLATE)
    if template in CUSTOM_TEMPLATES:
        return CUSTOM_TEMPLATES[template]
    raise UserError(
        f'template {template!r} has no {{}} for the class name, is not {CUSTOM!r} and is not a '
        f'data set of CUSTOM_TEMPLATES ({", ".join(CUSTOM_TEMPLATES)})'
    )


def fill_template(
    template: str, class_names: Sequence[str], dataset_name: Optional[str] = None
) -> List[str]:
    """Return one prompt text per class name; :func:`resolve_template` explains the arguments.

    Raises:
        ValueError: the template is invalid.
    """
    template = resolve_template(template, dataset_name)
    return [template.format(readable(name)) for name in class_names]
