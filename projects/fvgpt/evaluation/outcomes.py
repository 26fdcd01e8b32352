"""Which test images each source got right: the file ``outcomes.npz`` beside ``results.json``.

It contains, for each column of ``results.json`` that is an accuracy over images, the array
``<column>/images`` (M,) with the paths of the images and, for each source, ``<column>/<source>``
(M,) bool, whether its prediction is right. The accuracy is 100 times the mean. Paths are relative
to the data root of the test if the image is below it. ``numpy.load`` reads it without pickle.
"""

from os.path import relpath
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional
from zipfile import BadZipFile

import numpy as np

from ..io.atomic_write import atomic_write
from ..io.errors import UserError

OUTCOMES = 'outcomes.npz'
_IMAGES = 'images'


class Outcome(NamedTuple):
    """Which images of a test were right.

    Attributes:
        images: paths of the M images.
        correct: source -> (M,) bool.
    """

    images: List[str]
    correct: Dict[str, np.ndarray]

    def below(self, root: Optional[str]) -> 'Outcome':
        """The same with paths relative to ``root``, if all images are below it."""
        inside = root is not None and all(
            Path(root) in Path(image).parents for image in self.images
        )
        if not inside:
            return self
        return self._replace(
            images=[Path(relpath(image, root)).as_posix() for image in self.images]
        )


def write_outcomes(path: Path, outcomes: Mapping[str, Outcome]) -> None:
    """Write column -> outcome to a file, as the module describes it.

    Raises:
        WriteError: the file cannot be written.
    """
    arrays: Dict[str, Any] = {}
    for column, outcome in outcomes.items():
        arrays[f'{column}/{_IMAGES}'] = np.array(outcome.images, dtype=np.str_)
        arrays.update({f'{column}/{source}': of for source, of in outcome.correct.items()})
    with atomic_write(path) as partial, open(partial, 'wb') as file:
        np.savez_compressed(file, **arrays)


def read_outcomes(path: Path) -> Dict[str, Outcome]:
    """Column -> outcome of a file that :func:`write_outcomes` wrote.

    Raises:
        UserError: the file is not of this format; names it.
    """
    outcomes: Dict[str, Outcome] = {}
    try:
        with np.load(path, allow_pickle=False) as file:
            for name in file:
                column, _, source = name.rpartition('/')
                outcome = outcomes.setdefault(column, Outcome([], {}))
                if source == _IMAGES:
                    outcome.images.extend(file[name].tolist())
                else:
                    outcome.correct[source] = file[name].astype(bool)
        if any(len(of) != len(o.images) for o in outcomes.values() for of in o.correct.values()):
            raise ValueError('its arrays have different lengths')
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise UserError(f'{path} is not a file of test outcomes: {error}') from error
    return outcomes
