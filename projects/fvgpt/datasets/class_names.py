"""Class names: their form in prompts, and checks of a list of them."""

from collections import Counter
from typing import List, Optional, Sequence

from ..io.errors import UserError


def readable(name: str) -> str:
    """Form of a class name in a prompt: ``golden_retriever`` becomes ``golden retriever``."""
    return name.replace('_', ' ')


def check_class_names(class_names: Sequence[str]) -> List[str]:
    """Check that there is at least one class name and that none is empty.

    Returns:
        The names as a list.

    Raises:
        UserError: the list is empty, or an entry is empty or not a text; names its position.
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
    """Warning about class names that give the same prompt; None if there are none.

    CLIP's tokenizer ignores upper and lower case, so ``Cat`` and ``cat`` are the same class to it.
    """
    prompts = [readable(name).strip().lower() for name in class_names]
    times = Counter(prompts)
    alike = [name for name, prompt in zip(class_names, prompts) if times[prompt] > 1]
    if not alike:
        return None
    return (
        f'{len(alike)} of {len(prompts)} class names give the same prompt as another one (CLIP '
        f'ignores case), the first is {alike[0]!r}; rename them if they are different classes'
    )
