"""What a run says of its data, once."""

import logging
from functools import cache

from mmengine.logging import print_log

from .printable import printable


@cache
def log_once(message: str, level: int = logging.INFO) -> None:
    """Log a message once a process: several data sets of a run read the same images."""
    print_log(printable(message), 'current', level)
