"""The two layouts in which the public data sets and their foreground masks are distributed."""

from pathlib import Path
from typing import Optional

LAYOUTS = ('coop', 'archives')


def layout_root(data_root: str, layout: str, archive: Optional[str]) -> Path:
    """Folder that the paths of a data set are relative to.

    Args:
        data_root: folder with all data sets.
        layout: ``coop``: all data sets are directly in ``data_root``, as CoOp's instructions place
            them. ``archives``: each data set is in a folder of its own, together with its ``mask``
            folder, as in the released archives of foreground masks.
        archive: name of that folder; None for a data set that is in no archive.
    """
    root = Path(data_root).expanduser()
    return root / archive if layout == 'archives' and archive else root
