"""Which images of a test are shown in a view, and on which backgrounds."""

import logging
from pathlib import Path
from typing import Dict, List, Tuple

from mmengine.logging import print_log

from ..io.errors import UserError
from .other_images import shuffled
from .views import MIN_AREA, ShowView, usable

PAIRING_SEED = 0  # of the exchange of backgrounds: the same test images in every run
_known: Dict[Tuple[object, ...], bool] = {}  # masks read before in this process -> usable


def images_with_usable_masks(data_list: List[dict], show: ShowView, root: str) -> List[dict]:
    """The images of which every view can be made, see :func:`~fvgpt.datasets.views.usable`.

    The others are left out of the test and counted in a warning: images without a mask file, and
    images whose mask is not usable. The rule is the same for all views, so that their accuracies
    are over the same images. For ``exchanged`` the images also get ``background_img_path`` and
    ``background_mask_path``: of another image of the list, of another class, each used once, and
    the same in every run.

    Args:
        data_list: dicts with ``img_path``, ``gt_label`` and ``mask_path``.
        show: the first step of the pipeline, which loads the masks.
        root: of the data set, for messages.

    Raises:
        UserError: no image has a usable mask, or a mask cannot be read.
    """
    present = [info for info in data_list if info['mask_path'] is not None]
    chosen = [info for info in present if _is_usable(info, show)]
    missing, unusable = len(data_list) - len(present), len(present) - len(chosen)
    counts = (
        f'{missing} have no foreground mask, and {unusable} one that covers less than '
        f'{100 * MIN_AREA:.0f} % of the part that the model sees or leaves no background'
    )
    if not chosen:
        raise UserError(
            f'{root}: the test view {show.view!r} has no images: of {len(data_list)} '
            f'images, {counts}; to make masks: tools/generate_foreground.py'
        )
    if len(chosen) < len(data_list):
        print_log(
            f'{root}: the test view {show.view!r} leaves out {len(data_list) - len(chosen)} of '
            f'{len(data_list)} images: {counts}',
            'current',
            level=logging.WARNING,
        )
    if show.view == 'exchanged':
        others = shuffled([info['gt_label'] for info in chosen], PAIRING_SEED)
        for info, other in zip(chosen, others):
            info['background_img_path'] = chosen[other]['img_path']
            info['background_mask_path'] = chosen[other]['mask_path']
    return chosen


def _is_usable(info: dict, show: ShowView) -> bool:
    image, mask = info['img_path'], info['mask_path']
    state = Path(mask).stat()
    key = (repr(show.transforms), image, mask, state.st_size, state.st_mtime_ns)
    if key not in _known:
        _known[key] = usable(show.mask_of(image, mask))
    return _known[key]
