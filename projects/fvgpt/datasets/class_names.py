"""Class names: as they stand in prompts, and what is wrong with a list of them."""

from collections import Counter
from typing import List, Optional, Sequence

from ..io.errors import UserError


def readable(name: str) -> str:
    """A class name as it stands in a prompt: ``golden_retriever`` -> ``golden retriever``."""
    return name.replace('_', ' ')


def check_class_names(class_names: Sequence[str]) -> List[str]:
    """Class names as a list, refused when there are none or one is empty or no text.

    Raises:
        ValueError: names the position of the offending entry.
    """
    names = list(class_names)
    if not names:
        raise UserError('class_names is empty; give at least one class name')
    for position, name in enumerate(names):
        if not isinstance(name, str) or not readable(name).strip():
            raise UserError(
                f'class_names[{position}] is {name!r}; every class needs a name that is not empty'
            )
    return names


def alike_names(class_names: Sequence[str]) -> Optional[str]:
    """What to tell of class names that read like another one; None where there are none."""
    prompts = [readable(name).strip().lower() for name in class_names]
    times = Counter(prompts)
    alike = [name for name, prompt in zip(class_names, prompts) if times[prompt] > 1]
    if not alike:
        return None
    return (
        f'{len(alike)} of {len(prompts)} class names read like another one, which CLIP cannot tell apart, the first is '
        f'{alike[0]!r}; rename them if they are meant to differ'
    )
