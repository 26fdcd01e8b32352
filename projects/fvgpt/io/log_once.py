"""Log messages that several objects of a run would repeat."""

import logging
from functools import cache

from mmengine.logging import print_log

from .printable import printable


@cache
def log_once(message: str, level: int = logging.INFO) -> None:
    """Log a message once per process.

    The data sets of a run (training, base test, new test) read the same images and would report the
    same findings several times.
    """
    print_log(printable(message), 'current', level)
